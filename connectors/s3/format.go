package s3

import (
	"fmt"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// format is how records become the contents of an object, in two steps. The first is taken for each record, when it is
// put: its encoder makes the record's bytes, and a layout puts them into the file. The second, packing, is taken once for
// the whole file when it is finished: compression, the columns of Parquet. So an open file costs no more memory than its
// bytes, whatever the format, and those can wait on disk.
//
// Values are what the contract says they are: the hub has checked them.
type format interface {
	extension() string
	// encoder compiles the first step for values of a schema, nil for data without one. It fails with an error of
	// class data if the format cannot hold them.
	encoder(schema *connectors.Schema) (encoder, error)
	// packs reports whether there is a second step.
	packs() bool
	// pack writes the contents of the object to out. It may be called by several goroutines, for different files.
	pack(key string, schema *connectors.Schema, in *blobReader, out *output) error
}

// encoder is for one goroutine at a time.
type encoder interface {
	append(dst []byte, d connectors.Data) ([]byte, error)
	// layout makes what puts the bytes of records into the file of one object.
	layout(key string) layout
}

// layout puts the bytes of records one after another into a blob. It is for one goroutine at a time.
type layout interface {
	write(to *blob, record []byte)
	// whole reports whether nothing is begun that end would have to end, so that a part may end here.
	whole() bool
	// end ends what was begun. It may be called again.
	end(to *blob)
}

// plain puts nothing between records.
type plain struct{}

func (plain) write(to *blob, record []byte) { to.Write(record) }
func (plain) whole() bool                   { return true }
func (plain) end(*blob)                     {}

// output is what packing writes to: a blob that goes to disk whenever memory is short.
type output struct{ *blob }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	n, _ := o.blob.Write(p)
	if o.memory.short() && o.inMem >= chunkSize {
		return n, o.spill()
	}
	return n, nil
}

// newFormat makes the format of one of the keys format.class, keys.format.class and headers.format.class. The kind is
// what stands before the extension: "" for values, ".keys" and ".headers".
func newFormat(v configs.Values, key, kind string) (format, error) {
	gz := v.String("s3.compression.type") == "gzip"
	switch pick(formats(), v.String(key)) {
	case "json":
		return newJSONFormat(kind, v.String("json.decimal.format"), gz, v.Int("s3.compression.level")), nil
	case "bytes":
		return newBytesFormat(kind, v.String("format.bytearray.extension"), v.String("format.bytearray.separator"),
			v.Has("format.bytearray.separator"), gz, v.Int("s3.compression.level")), nil
	case "avro":
		return &avroFormat{kind: kind, codec: v.String("avro.codec")}, nil
	case "parquet":
		return newParquetFormat(kind, v.String("parquet.codec"))
	}
	return nil, fmt.Errorf("%s=%s is not a format", key, v.String(key))
}

// isNull reports whether a value is null, be it without a schema or under one that allows it.
func isNull(d connectors.Data) bool {
	if d.Schema == nil {
		return d.Bytes == nil || string(d.Bytes) == "null"
	}
	if !d.Schema.Optional {
		return false
	}
	present, _, err := connectors.ReadPresent(d.Schema, d.Bytes)
	return err == nil && !present
}
