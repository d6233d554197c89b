package s3

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

// gzipper compresses whole files. The header holds no name and no time, so that the same records give the same bytes.
type gzipper struct {
	level   int
	writers sync.Pool // of *gzip.Writer, which take almost a megabyte each
}

func (g *gzipper) extension() string {
	if g == nil {
		return ""
	}
	return ".gz"
}

func (g *gzipper) pack(in io.Reader, out io.Writer) error {
	z, ok := g.writers.Get().(*gzip.Writer)
	if !ok {
		var err error
		if z, err = gzip.NewWriterLevel(out, g.level); err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
	}
	z.Reset(out)
	defer g.writers.Put(z)
	z.ModTime = time.Unix(0, 0) // "no time" in the format
	// In pieces of one size, whatever the sizes of what was written, so that the output depends on the bytes only.
	if _, err := io.CopyBuffer(struct{ io.Writer }{z}, in, make([]byte, chunkSize)); err != nil {
		return fmt.Errorf("gzip: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("gzip: %w", err)
	}
	return nil
}
