package segment

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"testing"
)

func TestChecksum(t *testing.T) {
	b := make([]byte, 3*checksumPiece+1)
	for i := range b {
		b[i] = byte(i * i)
	}
	for _, n := range []int{0, 1, checksumPiece - 1, checksumPiece, checksumPiece + 1, 2 * checksumPiece, len(b)} {
		if got, want := checksum(b[:n]), crc32.Checksum(b[:n], castagnoli); got != want {
			t.Errorf("%08x of %d bytes, want %08x", got, n, want)
		}
	}
}

// BenchmarkChecksum: batches of a megabyte that are in a cache, and that are not.
func BenchmarkChecksum(b *testing.B) {
	for _, size := range []int{1 << 20, 256 << 20} {
		data := bytes.Repeat([]byte{'x'}, size)
		for name, sum := range map[string]func([]byte) uint32{
			"pieces": checksum,
			"whole":  func(b []byte) uint32 { return crc32.Checksum(b, castagnoli) },
		} {
			b.Run(fmt.Sprintf("%s of %d MiB", name, size>>20), func(b *testing.B) {
				b.SetBytes(1 << 20)
				for at := 0; b.Loop(); at = (at + 1<<20) % size {
					sum(data[at : at+1<<20])
				}
			})
		}
	}
}
