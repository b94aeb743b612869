package wire

import "encoding/binary"

const (
	// BatchCapacity is the largest sum of the encoded transmissions (length and content) in one block: the block without
	// the length of the padded payload, the count and the tag. It does not depend on whether the block is encrypted.
	BatchCapacity = BlockSize - padLength - countLength - TagSize
	// MaxBatch is the largest number of transmissions in one block.
	MaxBatch = 255
	// MaxTransmission is the length of the longest transmission that fits a block, which it then has for itself.
	MaxTransmission = BatchCapacity - largeLength
	// MaxPayload is the length of the longest payload: the count and a full batch.
	MaxPayload = countLength + BatchCapacity

	countLength = 1
	largeLength = 2
)

// Batch iterates over the transmissions of one block's payload.
type Batch struct {
	r    Reader
	left int
}

// ParseBatch checks the framing of a whole payload. It returns [ErrSyntax] if the count is 0, if the lengths do not add
// up, or if bytes are left over. What the transmissions contain, and whether they contain anything, is not looked at.
//
// Spec: smp.md 5.1
func ParseBatch(payload []byte) (Batch, error) {
	r := NewReader(payload)
	n := r.NonEmptyCount()
	b := Batch{r: r, left: n}
	for range n {
		r.Large()
	}
	if err := r.Done(); err != nil {
		return Batch{}, err
	}
	return b, nil
}

// Len returns the number of transmissions that Next has yet to return.
func (b *Batch) Len() int { return b.left }

// Next returns the next transmission, as a view of the payload; ok is false after the last.
func (b *Batch) Next() (transmission []byte, ok bool) {
	if b.left == 0 {
		return nil, false
	}
	b.left--
	return b.r.Large(), true
}

// Packer builds the payload of one block from transmissions, in the order they are added, within the limits of a block.
// Transmissions are either copied in by [Packer.Add] or written in place between [Packer.Begin] and [Packer.Commit].
// The zero Packer is ready and empty; [Packer.Reset] lets it use storage of the caller's.
//
// Spec: smp.md 5.2
type Packer struct {
	buf   []byte
	count int
}

// Reset empties the Packer and makes it build in the storage of buf, whose content is overwritten. It does not allocate
// as long as buf has a capacity of [MaxPayload].
func (p *Packer) Reset(buf []byte) { p.buf, p.count = buf[:0], 0 }

// Count returns the number of transmissions added since Reset.
func (p *Packer) Count() int { return p.count }

// Fits reports whether a transmission of n bytes can be added.
func (p *Packer) Fits(n int) bool {
	return p.count < MaxBatch && n >= 0 && n <= MaxTransmission && p.size()+largeLength+n <= MaxPayload
}

// Add copies a transmission to the end of the payload. It returns false, and changes nothing, if it does not fit.
// The transmission may lie in the Packer's own storage, as one from [Packer.Pending] does after a Reset to that storage.
func (p *Packer) Add(transmission []byte) bool {
	if !p.Fits(len(transmission)) {
		return false
	}
	// The content is moved before its length is written: it may lie where the length goes.
	n := p.size() + largeLength
	p.grow(n + len(transmission))
	copy(p.buf[n:], transmission)
	p.seal(n, len(transmission))
	return true
}

// Begin returns the payload with room for the length of one more transmission. The caller appends the transmission to
// it and hands the result to [Packer.Commit]; until then the Packer must not be used otherwise.
func (p *Packer) Begin() []byte {
	n := p.size()
	p.grow(n)
	return append(p.buf, 0, 0)
}

// Commit adds the transmission appended to what [Packer.Begin] returned. If it does not fit, Commit returns false and
// leaves the payload as it was; [Packer.Pending] then finds the transmission in dst.
func (p *Packer) Commit(dst []byte) bool {
	n := p.size() + largeLength
	if len(dst) < n || !p.Fits(len(dst)-n) {
		return false
	}
	p.buf = dst
	p.seal(n, len(dst)-n)
	return true
}

// Pending returns the transmission that [Packer.Commit] refused, as a view of dst, so that it can be added to the next
// payload, which may be built in the same storage.
func (p *Packer) Pending(dst []byte) []byte { return dst[p.size()+largeLength:] }

// Payload returns the payload, or nil if nothing was added. It is valid until the next Reset.
func (p *Packer) Payload() []byte {
	if p.count == 0 {
		return nil
	}
	return p.buf
}

// size returns the length of the payload, counting the count byte even before it is written.
func (p *Packer) size() int { return max(len(p.buf), countLength) }

// grow extends the payload to n bytes, the new ones undefined.
func (p *Packer) grow(n int) {
	if n > cap(p.buf) {
		p.buf = append(make([]byte, 0, max(n, MaxPayload)), p.buf...)
	}
	p.buf = p.buf[:n]
}

// seal writes the length of the transmission that starts at n, and the count with it included.
func (p *Packer) seal(n, length int) {
	binary.BigEndian.PutUint16(p.buf[n-largeLength:], uint16(length))
	p.count++
	p.buf[0] = byte(p.count)
}

// Split divides a list of transmissions, given by their lengths, into blocks the way deployed clients do: from the end,
// each block taking as many as fit. It returns how many go into each block, in the order of sending, and how many are too
// long for any block. Those are left out, and end the block they would have been in.
//
// Spec: smp.md 5.2
func Split(sizes []int) (counts []int, oversize int) {
	size, count := 0, 0
	flush := func() {
		if count > 0 {
			counts = append(counts, count)
		}
		size, count = 0, 0
	}
	for i := len(sizes) - 1; i >= 0; i-- {
		if sizes[i] > MaxTransmission {
			oversize++
			flush()
			continue
		}
		encoded := largeLength + sizes[i]
		if count == MaxBatch || size+encoded > BatchCapacity {
			flush()
		}
		size += encoded
		count++
	}
	flush()
	for i, j := 0, len(counts)-1; i < j; i, j = i+1, j-1 {
		counts[i], counts[j] = counts[j], counts[i]
	}
	return counts, oversize
}
