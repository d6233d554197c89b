package s3

import (
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
)

// gzipper compresses whole files. The header holds no name and no time, so that the same records give the same bytes.
type gzipper struct{ level int }

func (g *gzipper) extension() string {
	if g == nil {
		return ""
	}
	return ".gz"
}

func (g *gzipper) pack(in io.Reader, out io.Writer) error {
	z, err := gzip.NewWriterLevel(out, g.level)
	if err != nil {
		return fmt.Errorf("gzip: %w", err)
	}
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
