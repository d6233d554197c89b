package s3

import (
	"errors"
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// bytesFormat writes values of bytes as they are, each followed by a separator.
type bytesFormat struct {
	suffix    string
	separator string
	gz        *gzipper // nil: not compressed
}

// newBytesFormat takes the separator as it is written in a file: escapes stand for themselves, nothing for a line feed.
func newBytesFormat(kind, extension, separator string, given, gz bool, level int) *bytesFormat {
	f := &bytesFormat{suffix: kind + extension, separator: "\n"}
	if given {
		f.separator = strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\0`, "\x00", `\\`, `\`).Replace(separator)
	}
	if gz {
		f.gz = &gzipper{level: level}
	}
	return f
}

func (f *bytesFormat) extension() string { return f.suffix + f.gz.extension() }
func (f *bytesFormat) packs() bool       { return f.gz != nil }

func (f *bytesFormat) pack(_ string, _ *connectors.Schema, in *blobReader, out *output) error {
	return f.gz.pack(in, out)
}

func (f *bytesFormat) encoder(schema *connectors.Schema) (encoder, error) {
	if schema == nil || schema.Type != connectors.Bytes && schema.Type != connectors.String {
		return nil, errors.New("the format for bytes writes only values of bytes; set value.converter=org.apache.kafka.connect.converters.ByteArrayConverter")
	}
	return &rawBytes{schema: schema, separator: f.separator}, nil
}

type rawBytes struct {
	schema    *connectors.Schema
	separator string
}

func (e *rawBytes) append(dst []byte, d connectors.Data) ([]byte, error) {
	present, rest, err := connectors.ReadPresent(e.schema, d.Bytes)
	if err != nil {
		return dst, err
	}
	if !present {
		return dst, errNull
	}
	b, _, err := connectors.ReadBytes(rest)
	return append(append(dst, b...), e.separator...), err
}

func (*rawBytes) layout(string) layout { return plain{} }
