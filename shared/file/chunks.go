package file

import (
	"sotto/shared/xftp"
)

// maxEncoded is the largest size that [Encoded] returns.
const maxEncoded = MaxSize + maxHeader + overhead

// threshold is the part of a chunk of the given size from which on it is used instead of smaller ones.
func threshold(size uint32) int64 { return int64(size) * 3 / 4 }

// ChunkSizes returns the sizes in bytes of the chunks that hold p bytes, as [Encoded] returns them. Their sum, the length
// of the encrypted file, is at least p. There are none for a p that Encoded does not return.
//
// Spec: xftp.md 12.2
func ChunkSizes(p int64) []uint32 {
	if p <= 0 || p > maxEncoded {
		return nil
	}
	sizes := xftp.ChunkSizes
	larger := 1
	for larger < len(sizes)-1 && p > threshold(sizes[larger+1]) {
		larger++
	}
	small, big := sizes[larger-1], sizes[larger]
	chunks := make([]uint32, 0, p/int64(big)+4)
	for ; p >= int64(big); p -= int64(big) {
		chunks = append(chunks, big)
	}
	if p > threshold(big) {
		return append(chunks, big)
	}
	for ; p > 0; p -= int64(small) {
		chunks = append(chunks, small)
	}
	return chunks
}

// SingleChunk returns the size in bytes of the smallest chunk that holds p bytes by itself, for the description behind a
// redirect; ok is false if none does.
//
// Spec: xftp.md 12.2
func SingleChunk(p int64) (size uint32, ok bool) {
	for _, size := range xftp.ChunkSizes {
		if p <= int64(size) {
			return size, true
		}
	}
	return 0, false
}
