package s3

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/schemaregistry/avro"
)

const (
	// parquetBatch is how many bytes of values are taken apart before their columns are written.
	parquetBatch = 256 << 10
	// parquetGroup is how many bytes of values make a row group. It bounds the memory of packing.
	parquetGroup = 16 << 20
	// parquetPage is the size of a page, as in Confluent's sink.
	parquetPage = 64 << 10
	// parquetDictionary is the size of a dictionary at which a column goes on without one.
	parquetDictionary = 1 << 20
	// decimalPrecision is that of a Decimal that does not say, as in Confluent's AvroData.
	decimalPrecision = 64
)

// parquetFormat writes Parquet files: a column for each leaf of the value's schema, in its order, with the logical types
// of Connect's that Parquet knows. Lists and maps have the three levels of Parquet's specification.
type parquetFormat struct {
	kind   string
	suffix string
	codec  compress.Codec
}

func newParquetFormat(kind, codec string) (*parquetFormat, error) {
	codec = strings.ToLower(codec)
	f := &parquetFormat{kind: kind, suffix: kind + "." + codec + ".parquet"}
	switch codec {
	case "none", "uncompressed":
		f.suffix, f.codec = kind+".parquet", &parquet.Uncompressed
	case "snappy":
		f.codec = &parquet.Snappy
	case "gzip":
		f.suffix, f.codec = kind+".gz.parquet", &parquet.Gzip
	case "zstd":
		f.codec = &parquet.Zstd
	case "brotli":
		f.suffix, f.codec = kind+".br.parquet", &parquet.Brotli
	case "lz4", "lz4_raw": // both write plain LZ4 blocks: the codec named LZ4 frames them in a way that many readers do not know
		f.suffix, f.codec = kind+".lz4raw.parquet", &parquet.Lz4Raw
	default:
		return nil, fmt.Errorf("parquet.codec=%s is not a codec", codec)
	}
	return f, nil
}

func (f *parquetFormat) extension() string { return f.suffix }
func (f *parquetFormat) packs() bool       { return true }

func (f *parquetFormat) encoder(schema *connectors.Schema) (encoder, error) {
	if schema == nil {
		return nil, errors.New("the Parquet format needs values with a schema; use a converter that gives them one")
	}
	if _, err := compileColumns(f.rows(schema)); err != nil {
		return nil, err
	}
	return parquetValues{}, nil
}

// parquetValues keeps values as they are encoded, until their columns are written.
type parquetValues struct{}

func (parquetValues) append(dst []byte, d connectors.Data) ([]byte, error) {
	return append(dst, d.Bytes...), nil
}
func (parquetValues) layout(string) layout { return framed{} }

// rows returns the schema of rows: that of the values if they are structs. Keys that are not, and headers, become the
// only field of one.
func (f *parquetFormat) rows(schema *connectors.Schema) *connectors.Schema {
	if schema.Type == connectors.Struct && !schema.Optional || f.kind == "" {
		return schema
	}
	return &connectors.Schema{Type: connectors.Struct, Name: f.kind[1:], Fields: []connectors.Field{{Name: f.kind[1:], Schema: schema}}}
}

func (f *parquetFormat) pack(_ string, schema *connectors.Schema, in *blobReader, out *output) error {
	columns, err := compileColumns(f.rows(schema))
	if err != nil {
		return err
	}
	w := &parquetWriter{columns: columns, values: make([][]parquet.Value, columns.count), optional: schema.Optional, of: schema}
	w.file = parquet.NewGenericWriter[any](out, f.options(schema, columns)...)
	values := newFrames(in)
	for {
		v, err := values.next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = w.row(v)
		}
		if err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	return w.file.Close()
}

func (f *parquetFormat) options(schema *connectors.Schema, columns *columns) []parquet.WriterOption {
	o := []parquet.WriterOption{parquet.NewSchema(columns.name, columns.node), parquet.Compression(f.codec),
		parquet.PageBufferSize(parquetPage), parquet.DictionaryMaxBytes(parquetDictionary), parquet.CreatedBy("sluice", version, ""),
		parquet.DataPageVersion(1), parquet.DataPageStatistics(false)}
	// Readers in Java that go by Avro find its schema here.
	if a, err := avro.FromConnect(schema); err == nil && schema.Type == connectors.Struct {
		o = append(o, parquet.KeyValueMetadata("parquet.avro.schema", a.String()))
	}
	return o
}

// parquetWriter turns encoded values into columns.
type parquetWriter struct {
	file     *parquet.GenericWriter[any]
	columns  *columns
	of       *connectors.Schema
	optional bool
	values   [][]parquet.Value // of the batch, by column
	batch    []byte            // its values, encoded: strings in the columns share it
	group    int               // bytes in the row group
}

func (w *parquetWriter) row(value []byte) error {
	if len(w.batch)+len(value) > parquetBatch {
		if err := w.writeBatch(); err != nil {
			return err
		}
	}
	from := len(w.batch)
	w.batch = append(w.batch, value...)
	src := w.batch[from:]
	if w.optional && w.columns.root.schema == w.of {
		// A row is never null: those records are handled before.
		_, rest, err := connectors.ReadPresent(w.of, src)
		if err != nil {
			return err
		}
		src = rest
	}
	_, err := w.columns.root.shredFields(w.values, src, 0, 0)
	return err
}

func (w *parquetWriter) writeBatch() error {
	for i, c := range w.file.ColumnWriters() {
		if _, err := c.WriteRowValues(w.values[i]); err != nil {
			return fmt.Errorf("write column %d: %w", i, err)
		}
		clear(w.values[i])
		w.values[i] = w.values[i][:0]
	}
	w.group += len(w.batch)
	w.batch = w.batch[:0]
	if w.group >= parquetGroup {
		w.group = 0
		return w.file.Flush()
	}
	return nil
}

func (w *parquetWriter) flush() error {
	if len(w.batch) == 0 {
		return nil
	}
	return w.writeBatch()
}

// columns is a compiled schema of rows.
type columns struct {
	name  string
	node  parquet.Node
	root  *column
	count int
}

// column is a node of the schema: a leaf has an index, the others what is in them.
type column struct {
	schema *connectors.Schema
	index  int // of a leaf, in the order of the file
	kind   parquet.Kind
	parts  []*column // fields of a struct, the item of an array, key and value of a map
	rep    int       // repetition level of what repeats in an array or a map
}

func compileColumns(s *connectors.Schema) (*columns, error) {
	if s.Type != connectors.Struct {
		return nil, fmt.Errorf("the Parquet format needs values that are structs, not %s", s.Type)
	}
	c := &columns{name: s.Name}
	if c.name == "" {
		c.name = "ConnectDefault"
	}
	var err error
	if c.root, c.node, err = c.group(s, 0, maxParquetDepth); err != nil {
		return nil, err
	}
	return c, nil
}

// maxParquetDepth bounds the nesting of schemas.
const maxParquetDepth = 64

func (c *columns) compile(s *connectors.Schema, rep, depth int) (*column, parquet.Node, error) {
	if depth == 0 {
		return nil, nil, fmt.Errorf("the schema is nested deeper than %d", maxParquetDepth)
	}
	var of *column
	var node parquet.Node
	var err error
	switch s.Type {
	case connectors.Struct:
		of, node, err = c.group(s, rep, depth)
	case connectors.Array:
		of = &column{schema: s, rep: rep + 1}
		var item *column
		var inner parquet.Node
		if item, inner, err = c.compile(s.Elem, rep+1, depth-1); err == nil {
			of.parts, node = []*column{item}, parquet.List(inner)
		}
	case connectors.Map:
		of, node, err = c.mapping(s, rep, depth)
	default:
		node, err = leaf(s)
		if err == nil {
			of = &column{schema: s, index: c.count, kind: node.Type().Kind()}
			c.count++
		}
	}
	if err == nil && s.Optional {
		node = parquet.Optional(node)
	}
	return of, node, err
}

func (c *columns) group(s *connectors.Schema, rep, depth int) (*column, parquet.Node, error) {
	if len(s.Fields) == 0 {
		return nil, nil, fmt.Errorf("the struct %s has no fields, which Parquet does not allow", s.Name)
	}
	of, g := &column{schema: s}, &group{Group: parquet.Group{}}
	for _, f := range s.Fields {
		part, node, err := c.compile(f.Schema, rep, depth-1)
		if err != nil {
			return nil, nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		of.parts = append(of.parts, part)
		g.Group[f.Name] = node
		g.fields = append(g.fields, &groupField{node, f.Name})
	}
	return of, g, nil
}

// mapping compiles a map. Parquet's maps have required keys; one with others becomes a list of structs.
func (c *columns) mapping(s *connectors.Schema, rep, depth int) (*column, parquet.Node, error) {
	key, keyNode, err := c.compile(s.Key, rep+1, depth-1)
	if err != nil {
		return nil, nil, fmt.Errorf("key: %w", err)
	}
	value, valueNode, err := c.compile(s.Elem, rep+1, depth-1)
	if err != nil {
		return nil, nil, fmt.Errorf("value: %w", err)
	}
	of := &column{schema: s, rep: rep + 1, parts: []*column{key, value}}
	if s.Key.Optional {
		return of, parquet.List(&group{parquet.Group{"key": keyNode, "value": valueNode},
			[]parquet.Field{&groupField{keyNode, "key"}, &groupField{valueNode, "value"}}}), nil
	}
	return of, parquet.Map(keyNode, valueNode), nil
}

// group is a group whose fields keep their order: the library's own sorts them by name.
type group struct {
	parquet.Group
	fields []parquet.Field
}

// Fields implements parquet.Node.
func (g *group) Fields() []parquet.Field { return g.fields }

type groupField struct {
	parquet.Node
	name string
}

// Name implements parquet.Field.
func (f *groupField) Name() string { return f.name }

// Value implements parquet.Field. Rows are never Go values here.
func (f *groupField) Value(reflect.Value) reflect.Value { return reflect.Value{} }

// leaf returns the column type of a schema.
func leaf(s *connectors.Schema) (parquet.Node, error) {
	switch s.Type {
	case connectors.Boolean:
		return parquet.Leaf(parquet.BooleanType), nil
	case connectors.Int8, connectors.Int16, connectors.Int32:
		switch s.Name {
		case connectors.DateName:
			return parquet.Date(), nil
		case connectors.TimeName:
			return parquet.Time(parquet.Millisecond), nil
		}
		return parquet.Leaf(parquet.Int32Type), nil
	case connectors.Int64:
		if s.Name == connectors.TimestampName {
			return parquet.Timestamp(parquet.Millisecond), nil
		}
		return parquet.Leaf(parquet.Int64Type), nil
	case connectors.Float32:
		return parquet.Leaf(parquet.FloatType), nil
	case connectors.Float64:
		return parquet.Leaf(parquet.DoubleType), nil
	case connectors.String:
		return parquet.Encoded(parquet.String(), &parquet.RLEDictionary), nil
	case connectors.Bytes:
		if s.Name != connectors.DecimalName {
			return parquet.Leaf(parquet.ByteArrayType), nil
		}
		scale, err := connectors.DecimalScale(s)
		if err != nil {
			return nil, err
		}
		precision, err := strconv.Atoi(s.Parameter("connect.decimal.precision"))
		if err != nil {
			precision = decimalPrecision
		}
		return parquet.Decimal(scale, precision, parquet.ByteArrayType), nil
	}
	return nil, errors.New("a schema without a type")
}
