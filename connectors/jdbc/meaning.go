package jdbc

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// meaning is what the values of a schema mean to a database, whatever they are encoded as.
type meaning uint8

const (
	meansBool meaning = iota
	meansInt          // of 8 to 64 bits
	meansFloat32
	meansFloat64
	meansText
	meansBytes
	meansDecimal // text of a number
	meansDate
	meansTime
	meansTimestamp      // without zone
	meansZonedTimestamp // an instant
	meansZonedTime      // text
	meansJSON           // text
	meansXML            // text
	meansUUID           // text
	meansEnum           // text
	meansSet            // text
	meansTsvector       // text
	meansLtree          // text
	meansInterval       // text in ISO 8601
	meansDuration       // microseconds
	meansYear
	meansBits // text of zeros and ones
	meansWKB  // a geometry as well-known binary
	meansPoint
	meansArray
)

// typed is a compiled schema of a field: what its values mean, and how they are taken out of their encoding.
type typed struct {
	meaning   meaning
	schema    *connectors.Schema
	bits      int            // of an integer
	scale     int            // of a decimal; -1: each value has its own
	precision int            // of a decimal: 0 is unknown
	perSecond int            // units of a temporal in a second
	length    int            // of a bit string; 0 is unknown
	zone      *time.Location // in which an instant is written into a column without one; nil is UTC
	labels    string
	elem      *typed
	printer   *connectors.JSONPrinter
	required  *connectors.Schema // the schema without null
	unchanged []byte             // the encoding of what stands for a value that a change did not touch
}

// scalar is a value between its encoding and a database's form of it.
type scalar struct {
	// i is an integer; days since the epoch of a date; microseconds since midnight or the epoch of a time or timestamp,
	// and of a duration.
	i int64
	// nanos are those beyond i's microseconds, 0 to 999.
	nanos int64
	f     float64
	x, y  float64 // of a point
	b     []byte  // text or bytes, shared with the encoding or the reader's scratch
}

// compileType says what values of a schema mean.
func compileType(s *connectors.Schema, placeholder string) (*typed, error) {
	t := &typed{schema: s, required: s}
	if s.Optional {
		c := *s
		c.Optional, c.Default = false, nil
		t.required = &c
	}
	if err := t.compile(s, placeholder); err != nil {
		return nil, err
	}
	if placeholder != "" {
		if v, ok := unchanged(s, placeholderBytes(placeholder)); ok {
			t.unchanged, _ = connectors.AppendValue(nil, t.required, v)
		}
	}
	return t, nil
}

func (t *typed) compile(s *connectors.Schema, placeholder string) (err error) {
	if t.logical(s) {
		return nil
	}
	switch s.Type {
	case connectors.Boolean:
		t.meaning = meansBool
	case connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64:
		t.meaning, t.bits = meansInt, 8<<(s.Type-connectors.Int8)
	case connectors.Float32:
		t.meaning = meansFloat32
	case connectors.Float64:
		t.meaning = meansFloat64
	case connectors.String:
		t.meaning = meansText
	case connectors.Bytes:
		t.meaning = meansBytes
		if s.Name == connectors.DecimalName {
			t.meaning = meansDecimal
			t.precision, _ = strconv.Atoi(s.Parameter("connect.decimal.precision"))
			t.scale, err = connectors.DecimalScale(s)
		}
	case connectors.Array:
		t.meaning = meansArray
		t.elem, err = compileType(s.Elem, "")
	case connectors.Struct, connectors.Map:
		t.meaning = meansJSON
		t.printer, err = connectors.NewJSONPrinter(t.required, connectors.JSONOptions{Decimal: connectors.DecimalNumeric, KeepNull: true})
	default:
		err = errors.New("a schema without a type")
	}
	return err
}

// logical compiles Connect's and Debezium's logical types. The scheme is name → meaning and unit.
func (t *typed) logical(s *connectors.Schema) bool {
	known := map[string]struct {
		of        connectors.Type
		meaning   meaning
		perSecond int
	}{
		connectors.DateName: {connectors.Int32, meansDate, 0}, cdc.DateName: {connectors.Int32, meansDate, 0},
		connectors.TimeName: {connectors.Int32, meansTime, 1e3}, cdc.TimeName: {connectors.Int32, meansTime, 1e3},
		cdc.MicroTimeName: {connectors.Int64, meansTime, 1e6}, cdc.NanoTimeName: {connectors.Int64, meansTime, 1e9},
		connectors.TimestampName: {connectors.Int64, meansTimestamp, 1e3}, cdc.TimestampName: {connectors.Int64, meansTimestamp, 1e3},
		cdc.MicroTimestampName: {connectors.Int64, meansTimestamp, 1e6}, cdc.NanoTimestampName: {connectors.Int64, meansTimestamp, 1e9},
		cdc.ZonedTimestampName: {connectors.String, meansZonedTimestamp, 0}, cdc.ZonedTimeName: {connectors.String, meansZonedTime, 0},
		cdc.IsoDateName: {connectors.String, meansDate, 0}, cdc.IsoTimeName: {connectors.String, meansTime, 0}, cdc.IsoTimestampName: {connectors.String, meansTimestamp, 0},
		cdc.MicroDurationName: {connectors.Int64, meansDuration, 1e6}, cdc.IntervalName: {connectors.String, meansInterval, 0}, cdc.YearName: {connectors.Int32, meansYear, 0},
		cdc.JSONName: {connectors.String, meansJSON, 0}, cdc.XMLName: {connectors.String, meansXML, 0}, cdc.UUIDName: {connectors.String, meansUUID, 0},
		cdc.EnumName: {connectors.String, meansEnum, 0}, cdc.EnumSetName: {connectors.String, meansSet, 0},
		cdc.TsvectorName: {connectors.String, meansTsvector, 0}, cdc.LtreeName: {connectors.String, meansLtree, 0},
		cdc.BitsName: {connectors.Bytes, meansBits, 0}, cdc.VariableScaleDecimalName: {connectors.Struct, meansDecimal, 0},
		cdc.PointName: {connectors.Struct, meansPoint, 0}, cdc.GeometryName: {connectors.Struct, meansWKB, 0}, cdc.GeographyName: {connectors.Struct, meansWKB, 0},
	}
	k, ok := known[s.Name]
	if !ok || k.of != s.Type {
		return false
	}
	if s.Type == connectors.Struct && !t.fits(s) {
		return false
	}
	t.meaning, t.perSecond = k.meaning, k.perSecond
	switch k.meaning {
	case meansDecimal:
		t.scale = -1
	case meansBits:
		t.length, _ = strconv.Atoi(s.Parameter("length"))
		if t.length == math.MaxInt32 || t.length < 0 {
			t.length = 0
		}
	case meansEnum, meansSet:
		t.labels = s.Parameter("allowed")
	}
	return true
}

// fits reports whether a struct has the fields of Debezium's logical type of its name, by place and type.
func (t *typed) fits(s *connectors.Schema) bool {
	want := cdc.Geometry(s.Name)
	switch s.Name {
	case cdc.PointName:
		want = cdc.Point()
	case cdc.VariableScaleDecimalName:
		want = cdc.VariableScaleDecimal()
	}
	if len(s.Fields) != len(want.Fields) {
		return false
	}
	for i := range s.Fields {
		if s.Fields[i].Name != want.Fields[i].Name || s.Fields[i].Schema.Type != want.Fields[i].Schema.Type {
			return false
		}
	}
	return true
}

// read takes a value that is not null out of its encoding. Text that is made up is in scratch.
func (t *typed) read(src, scratch []byte) (v scalar, rest []byte, err error) {
	switch t.meaning {
	case meansBool:
		if len(src) < 1 {
			return v, nil, connectors.ErrTruncated
		}
		v.i = int64(src[0])
		return v, src[1:], nil
	case meansInt, meansYear, meansDuration:
		v.i, rest, err = connectors.ReadInt(src)
		return v, rest, err
	case meansFloat32:
		if len(src) < 4 {
			return v, nil, connectors.ErrTruncated
		}
		v.f = float64(math.Float32frombits(binary.LittleEndian.Uint32(src)))
		return v, src[4:], nil
	case meansFloat64:
		if len(src) < 8 {
			return v, nil, connectors.ErrTruncated
		}
		v.f = math.Float64frombits(binary.LittleEndian.Uint64(src))
		return v, src[8:], nil
	case meansDate, meansTime, meansTimestamp, meansZonedTimestamp:
		return t.readTemporal(src)
	case meansDecimal:
		return t.readDecimal(src, scratch)
	case meansBits:
		if v.b, rest, err = connectors.ReadBytes(src); err == nil {
			v.b = appendBits(scratch[:0], v.b, t.length)
		}
		return v, rest, err
	case meansJSON:
		if t.printer != nil {
			v.b, rest, err = t.printer.Append(scratch[:0], src)
			return v, rest, err
		}
	case meansPoint, meansWKB:
		return t.readGeometry(src)
	case meansArray:
		if rest, err = connectors.SkipValue(t.required, src); err == nil {
			v.b = src[:len(src)-len(rest)]
		}
		return v, rest, err
	}
	v.b, rest, err = connectors.ReadBytes(src)
	return v, rest, err
}

func (t *typed) readDecimal(src, scratch []byte) (v scalar, rest []byte, err error) {
	scale := t.scale
	if scale < 0 && t.schema.Type == connectors.Struct {
		present, inner, err := connectors.ReadPresent(t.schema.Fields[0].Schema, src)
		if err != nil || !present {
			return v, nil, fmt.Errorf("a decimal without scale: %w", errors.Join(err, connectors.ErrMalformed))
		}
		i, rest, err := connectors.ReadInt(inner)
		if err != nil {
			return v, nil, err
		}
		scale, src = int(i), rest
		if present, src, err = connectors.ReadPresent(t.schema.Fields[1].Schema, src); err != nil || !present {
			return v, nil, fmt.Errorf("a decimal without value: %w", errors.Join(err, connectors.ErrMalformed))
		}
	}
	if scale > maxScale || scale < -maxScale {
		return v, nil, fmt.Errorf("a decimal with the scale %d", scale)
	}
	unscaled, rest, err := connectors.ReadBytes(src)
	if err == nil {
		v.b = connectors.AppendDecimal(scratch[:0], unscaled, scale)
	}
	return v, rest, err
}

// maxScale bounds what a decimal's text may come to. PostgreSQL's numeric has 16383 digits behind the point.
const maxScale = 20000

func (t *typed) readGeometry(src []byte) (v scalar, rest []byte, err error) {
	value, rest, err := connectors.ReadValue(t.required, src)
	if err != nil {
		return v, nil, err
	}
	list := value.List()
	if t.meaning == meansPoint {
		v.x, v.y, v.b = list[0].Float(), list[1].Float(), list[2].Raw()
	} else {
		v.b = list[0].Raw()
	}
	return v, rest, nil
}

// appendBits appends a bit string in the order in which databases write it: the last byte's highest bit first.
func appendBits(dst, little []byte, length int) []byte {
	n := len(little) * 8
	if length > 0 {
		n = length
	}
	for i := n - 1; i >= 0; i-- {
		bit := byte('0')
		if i/8 < len(little) && little[i/8]>>(i%8)&1 == 1 {
			bit = '1'
		}
		dst = append(dst, bit)
	}
	return dst
}

// placeholderBytes reads unavailable.value.placeholder, as the sources do.
func placeholderBytes(text string) []byte {
	if h, ok := strings.CutPrefix(text, "hex:"); ok {
		if b, err := hex.DecodeString(h); err == nil {
			return b
		}
	}
	return []byte(text)
}

// unchanged returns what Debezium's sources write for a value that a change did not touch, by the schema. Numbers and
// booleans have none that could be told from a value; they are too small to be left out.
func unchanged(s *connectors.Schema, p []byte) (connectors.Value, bool) {
	switch s.Type {
	case connectors.String:
		return connectors.StringBytesValue(p), true
	case connectors.Bytes:
		return connectors.BytesValue(p), true
	case connectors.Map:
		if s.Key.Type == connectors.String && s.Elem.Type == connectors.String {
			return connectors.ListValue(connectors.Map, []connectors.Value{connectors.StringBytesValue(p), connectors.StringBytesValue(p)}), true
		}
	case connectors.Array:
		return unchangedElements(s.Elem, p)
	case connectors.Struct:
		if s.Name == cdc.VariableScaleDecimalName && len(s.Fields) == 2 && s.Fields[1].Schema.Type == connectors.Bytes {
			return connectors.ListValue(connectors.Struct, []connectors.Value{connectors.IntValue(connectors.Int32, 0), connectors.BytesValue(p)}), true
		}
		if s.Name == cdc.GeometryName || s.Name == cdc.GeographyName {
			return connectors.ListValue(connectors.Struct, []connectors.Value{connectors.BytesValue(p), connectors.Null()}), true
		}
	}
	return connectors.Null(), false
}

func unchangedElements(s *connectors.Schema, p []byte) (connectors.Value, bool) {
	if s.Name == cdc.UUIDName {
		sum := md5.Sum(p) // Java's UUID.nameUUIDFromBytes
		sum[6] = sum[6]&0x0f | 0x30
		sum[8] = sum[8]&0x3f | 0x80
		h := hex.EncodeToString(sum[:])
		id := h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
		return connectors.ListValue(connectors.Array, []connectors.Value{connectors.StringValue(id)}), true
	}
	var list []connectors.Value
	switch s.Type {
	case connectors.Int16, connectors.Int32, connectors.Int64:
		for _, b := range p {
			list = append(list, connectors.IntValue(s.Type, int64(int8(b))))
		}
	case connectors.Float32, connectors.Float64:
		for _, b := range p {
			list = append(list, connectors.FloatValue(s.Type, float64(int8(b))))
		}
	default:
		item, ok := unchanged(s, p)
		if !ok {
			return item, false
		}
		list = []connectors.Value{item}
	}
	return connectors.ListValue(connectors.Array, list), true
}
