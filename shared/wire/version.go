package wire

// Version is a protocol version. SMP and XFTP number theirs independently.
type Version uint16

// Versions at which the form of a transmission changes.
const (
	// SessionVersion is the last version of SMP whose transmissions contain the session id. All versions of XFTP have
	// the same form, so XFTP parses its transmissions as of this version.
	SessionVersion Version = 6
	// ServiceVersion is the first version of SMP whose authorized transmissions have a slot for a service signature.
	ServiceVersion Version = 16
)

// VersionRange is a range of versions with both ends included; Min is not greater than Max.
type VersionRange struct{ Min, Max Version }

// Contains reports whether v lies in the range.
func (vr VersionRange) Contains(v Version) bool { return vr.Min <= v && v <= vr.Max }

// Intersect returns the versions in both ranges; ok is false if there are none.
func (vr VersionRange) Intersect(other VersionRange) (both VersionRange, ok bool) {
	both = VersionRange{Min: max(vr.Min, other.Min), Max: min(vr.Max, other.Max)}
	return both, both.Min <= both.Max
}

// Version reads a version.
func (r *Reader) Version() Version { return Version(r.Uint16()) }

// VersionRange reads a version range. It fails if Min is greater than Max.
//
// Spec: smp.md 1.1
func (r *Reader) VersionRange() VersionRange {
	vr := VersionRange{Min: r.Version(), Max: r.Version()}
	if r.failed || vr.Min > vr.Max {
		r.Fail()
		return VersionRange{}
	}
	return vr
}

// AppendVersion appends v.
func AppendVersion(dst []byte, v Version) []byte { return AppendUint16(dst, uint16(v)) }

// AppendVersionRange appends vr.
func AppendVersionRange(dst []byte, vr VersionRange) []byte {
	return AppendVersion(AppendVersion(dst, vr.Min), vr.Max)
}
