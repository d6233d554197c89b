package log

import (
	"fmt"
	"strconv"

	"github.com/sluicehub/sluice/log/segment"
)

// compressorOf is what compression.type of a topic asks for; nil for
// "producer", which keeps batches as they were sent.
func compressorOf(get func(string) string) (*segment.Compressor, error) {
	name := get("compression.type")
	level := segment.DefaultLevel
	switch name {
	case "gzip", "lz4", "zstd":
		n, err := strconv.Atoi(get("compression." + name + ".level"))
		if err != nil {
			return nil, fmt.Errorf("compression.%s.level: %w", name, err)
		}
		level = n
	}
	codec := map[string]int{"uncompressed": segment.CodecNone, "gzip": segment.CodecGzip, "snappy": segment.CodecSnappy,
		"lz4": segment.CodecLZ4, "zstd": segment.CodecZstd}
	c, ok := codec[name]
	if !ok {
		return nil, nil
	}
	return segment.NewCompressor(c, level)
}

// recompress gives checked batches the codec of the topic. Batches that have it
// are left; the bytes of hs stay where they are if all do.
func recompress(cfg *TopicConfig, hs []segment.Header, batches []byte) ([]byte, error) {
	same := true
	for i := range hs {
		same = same && hs[i].Codec() == cfg.Compressor.Codec()
	}
	if same {
		return batches, nil
	}
	out := make([]byte, 0, len(batches))
	for i := range hs {
		h := &hs[i]
		batch := batches[:h.Size()]
		batches = batches[h.Size():]
		if h.Codec() == cfg.Compressor.Codec() {
			out = append(out, batch...)
			continue
		}
		var err error
		if out, err = cfg.Compressor.Convert(out, h, batch); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalidRecord, err)
		}
		if h.Size() > cfg.MaxMessageBytes {
			return nil, fmt.Errorf("%w: %d bytes after compression with compression.type, max.message.bytes is %d", ErrMessageTooLarge, h.Size(), cfg.MaxMessageBytes)
		}
	}
	return out, nil
}
