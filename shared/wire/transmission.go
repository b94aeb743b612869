package wire

// serviceSignatureSize is the length of an Ed25519 signature, the only kind a service makes.
const serviceSignatureSize = 64

// Transmission is a command or response with what surrounds it, as views of the block it came in.
type Transmission struct {
	// Authorization proves the right to the command: empty for none, 64 bytes (Ed25519), 114 bytes (Ed448) or 80 bytes
	// (authenticator). Other lengths are for the receiver to refuse.
	Authorization []byte
	// ServiceSignature is the service's Ed25519 signature, 64 bytes, or nil if there is none.
	ServiceSignature []byte
	// SessionID is the session id the sender put into the transmission, nil in the forms that have none.
	SessionID []byte
	// CorrID is the correlation id, empty in events.
	CorrID CorrID
	// EntityID is the id of the entity that the command is for, empty for none.
	EntityID EntityID
	// Command is the command or response with its parameters.
	Command []byte
	// Signed is CorrID, EntityID and Command as transmitted, the part of the authorized bytes called T.
	Signed []byte
}

// ParseTransmission takes a transmission apart. A forwarded one, that is one inside PFWD or RFWD or their responses, never
// contains a session id. The error is [ErrSyntax]. The command, which may be empty, is not looked at, and neither is the
// length of the authorization.
//
// Spec: smp.md 6.1
func ParseTransmission(v Version, forwarded bool, b []byte) (Transmission, error) {
	r := NewReader(b)
	var t Transmission
	t.Authorization = r.Str()
	if v >= ServiceVersion && len(t.Authorization) > 0 && r.Maybe() {
		t.ServiceSignature = r.Str()
		if len(t.ServiceSignature) != serviceSignatureSize {
			r.Fail()
		}
	}
	if v <= SessionVersion && !forwarded {
		t.SessionID = r.Str()
	}
	start := r.Mark()
	t.CorrID = r.Str()
	t.EntityID = r.Str()
	t.Command = r.Tail()
	if r.Failed() {
		return Transmission{}, ErrSyntax
	}
	t.Signed = b[start:len(b):len(b)]
	return t, nil
}

// AppendTransmission appends a transmission as a client sends it. signed is what [AppendSigned] makes. auth is empty for
// no authorization; serviceSig is nil for none, and is sent only where its slot exists. sessionID is sent only in the
// forms that contain it.
//
// Spec: smp.md 6.1
func AppendTransmission(
	dst []byte, v Version, forwarded bool, auth, serviceSig, sessionID, signed []byte,
) []byte {
	dst = AppendStr(dst, auth)
	if v >= ServiceVersion && len(auth) > 0 {
		dst = AppendMaybe(dst, serviceSig != nil)
		if serviceSig != nil {
			dst = AppendStr(dst, serviceSig)
		}
	}
	if v <= SessionVersion && !forwarded {
		dst = AppendStr(dst, sessionID)
	}
	return append(dst, signed...)
}

// AppendSigned appends the part of a transmission that is signed, T.
//
// Spec: smp.md 6.2
func AppendSigned(dst, corrID, entityID, command []byte) []byte {
	return append(AppendStr(AppendStr(dst, corrID), entityID), command...)
}

// AppendAuthorized appends the bytes that an authorization covers: the session id, whether or not it is transmitted, and
// the signed part of the transmission. In a service connection the fingerprint of the service comes before them.
//
// Spec: smp.md 6.2
func AppendAuthorized(dst, sessionID, signed []byte) []byte {
	return append(AppendStr(dst, sessionID), signed...)
}

// AppendResponseHeader appends everything of a relay's transmission before the response itself, which the caller appends.
// sessionID is sent only in the version that contains it, and there it is left out if it is nil, as in the responses to
// forwarded commands.
//
// Spec: smp.md 6.1
func AppendResponseHeader(dst []byte, v Version, sessionID, corrID, entityID []byte) []byte {
	dst = append(dst, 0)
	if v <= SessionVersion && sessionID != nil {
		dst = AppendStr(dst, sessionID)
	}
	return AppendStr(AppendStr(dst, corrID), entityID)
}
