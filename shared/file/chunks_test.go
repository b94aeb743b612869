package file

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"sotto/shared/xftp"
)

// TestChunkSizeExamples is the table of the specification.
//
// Spec: xftp.md 17.11
func TestChunkSizeExamples(t *testing.T) {
	const k, m = 1 << 10, 1 << 20
	for _, c := range []struct {
		from, to int64
		want     []uint32
	}{
		{1, 65536, []uint32{64 * k}},
		{65537, 65537, []uint32{64 * k, 64 * k}},
		{196608, 196608, []uint32{64 * k, 64 * k, 64 * k}},
		{196609, 196609, []uint32{256 * k}},
		{262145, 262145, []uint32{256 * k, 64 * k}},
		{786432, 786432, []uint32{256 * k, 256 * k, 256 * k}},
		{786433, 1048576, []uint32{m}},
		{1048577, 1048577, []uint32{m, 256 * k}},
		{2097153, 2097153, []uint32{m, m, 256 * k}},
		{2883584, 2883584, []uint32{m, m, 256 * k, 256 * k, 256 * k}},
		{2883585, 3145728, []uint32{m, m, m}},
		{3145729, 3145729, []uint32{4 * m}},
		{7340032, 7340032, []uint32{4 * m, m, m, m}},
		{7340033, 7340033, []uint32{4 * m, 4 * m}},
		{9437184, 9437184, []uint32{4 * m, 4 * m, m}},
		{9699328, 9699328, []uint32{4 * m, 4 * m, m, m}},
		{17*m + 100, 17*m + 100, []uint32{4 * m, 4 * m, 4 * m, 4 * m, m, m}},
	} {
		for _, p := range []int64{c.from, (c.from + c.to) / 2, c.to} {
			if got := ChunkSizes(p); !slices.Equal(got, c.want) {
				t.Errorf("%d bytes in %v, want %v", p, got, c.want)
			}
		}
	}
}

// TestChunkSizesCover: for any length, the chunks hold it, the last one is needed, they are of sizes that relays take, the
// largest first, and waste is bounded.
func TestChunkSizesCover(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 200_000 {
		// Of all magnitudes, evenly.
		p := 1 + random.Int64N(int64(1)<<(1+n%32))
		checkCover(t, p)
	}
	checkCover(t, maxEncoded)
}

func checkCover(t *testing.T, p int64) {
	t.Helper()
	sizes := ChunkSizes(p)
	total := sum(sizes)
	if len(sizes) == 0 || total < p || total-int64(sizes[len(sizes)-1]) >= p {
		t.Fatalf("%d bytes in %v", p, sizes)
	}
	for i, size := range sizes {
		if !slices.Contains(xftp.ChunkSizes, size) || i > 0 && size > sizes[i-1] {
			t.Fatalf("%d bytes in %v", p, sizes)
		}
	}
	// A chunk is used from three quarters of it on, or else of the smallest size.
	if waste := total - p; waste >= int64(xftp.ChunkSizes[0]) && waste*4 >= int64(sizes[0]) {
		t.Fatalf("%d bytes in %v, of which %d are padding", p, sizes, waste)
	}
	if single, ok := SingleChunk(p); ok && (int64(single) < p || len(sizes) == 1 && sizes[0] != single) {
		t.Fatalf("%d bytes in %v, or one chunk of %d", p, sizes, single)
	}
}

func TestChunkSizesOutOfRange(t *testing.T) {
	for _, p := range []int64{math.MinInt64, -1, 0, maxEncoded + 1, math.MaxInt64} {
		if got := ChunkSizes(p); got != nil {
			t.Errorf("%d bytes in %d chunks", p, len(got))
		}
	}
	if size, ok := SingleChunk(math.MaxInt64); ok {
		t.Errorf("everything in a chunk of %d", size)
	}
}
