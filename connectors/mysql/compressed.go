package mysql

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// A column of MariaDB's with the attribute COMPRESSED has a type of its own in the log, and the log has its values as the
// server keeps them (MariaDB, sql/field.cc and sql/field_comp.cc). An empty value is nothing at all; another one:
//
//	method: 4 bits | bare: 1 bit | size of the length: 3 bits | length: so many bytes, big-endian | deflate stream
//	0 (what is left is the value) | ignored: 4 bits | value
//
// The method is 8, zlib. With bare the stream has neither zlib's header nor its checksum. The meta data of a varchar count
// the first byte, too: varchar(300) in utf8mb4 has 1201.
const methodZlib = 8

// errCompressed says that a value of a compressed column is not what the server writes.
var errCompressed = errors.New("malformed compressed value")

// deflateRatio is how many bytes one byte of a deflate stream can stand for: 258 bytes need two bits.
const deflateRatio = 1032

// keptBytes is how much memory is kept from one value to the next.
const keptBytes = 1 << 20

// inflater reads the values of a compressed column. It is used by one goroutine.
type inflater struct {
	most         uint64 // bytes of a value
	in           bytes.Reader
	bare, framed io.ReadCloser // nil before the first stream of its kind
	out          []byte
}

// inflated is a function that reads what a compressed column of the type has with one that reads the values themselves.
func inflated(f appendFunc, typ byte, meta uint16) appendFunc {
	i := &inflater{most: mostOf(typ, meta)}
	return func(dst, raw []byte) ([]byte, error) {
		value, err := i.value(raw)
		if err != nil {
			return dst, err
		}
		return f(dst, value)
	}
}

// mostOf is how many bytes a value of a compressed column has at most, 0 for a column of another type.
func mostOf(typ byte, meta uint16) uint64 {
	switch typ {
	case typeVarcharCompressed:
		return uint64(meta)
	case typeBlobCompressed:
		return 1<<(8*min(meta, 4)) - 1
	}
	return 0
}

// value returns what raw stands for, for as long as no other value is read.
func (i *inflater) value(raw []byte) ([]byte, error) {
	if len(raw) == 0 {
		return raw, nil
	}
	head, b := raw[0], raw[1:]
	method, bare, n := head>>4, head&8 != 0, int(head&7)
	if method == 0 {
		return b, nil
	}
	if method != methodZlib {
		return nil, fmt.Errorf("%w: compressed by the method %d, which is not known", errCompressed, method)
	}
	if n > len(b) {
		return nil, fmt.Errorf("%w: %d bytes", errCompressed, len(raw))
	}
	size, b := big(b[:n]), b[n:]
	if size > i.most || size > deflateRatio*uint64(len(b)) {
		return nil, fmt.Errorf("%w: %d bytes cannot be %d of a column that has %d at most", errCompressed, len(b), size, i.most)
	}
	out := slices.Grow(i.out[:0], int(size))[:size]
	if size <= keptBytes {
		i.out = out
	}
	if err := i.inflate(out, b, bare); err != nil {
		return nil, fmt.Errorf("%w of %d bytes: %w", errCompressed, size, err)
	}
	return out, nil
}

// inflate fills out with all that the stream has.
func (i *inflater) inflate(out, stream []byte, bare bool) error {
	i.in.Reset(stream)
	r, err := i.reader(bare)
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(r, out); err != nil {
		return err
	}
	var more [1]byte
	switch n, err := io.ReadFull(r, more[:]); {
	case n > 0:
		return errors.New("the stream goes on")
	case err != io.EOF: // its end, or checksum, is wrong
		return err
	}
	return nil
}

// reader returns a reader of the stream in i.in.
func (i *inflater) reader(bare bool) (io.Reader, error) {
	if bare {
		if i.bare == nil {
			i.bare = flate.NewReader(&i.in)
			return i.bare, nil
		}
		return i.bare, i.bare.(flate.Resetter).Reset(&i.in, nil)
	}
	if i.framed == nil {
		var err error
		if i.framed, err = zlib.NewReader(&i.in); err != nil {
			i.framed = nil
		}
		return i.framed, err
	}
	return i.framed, i.framed.(zlib.Resetter).Reset(&i.in, nil)
}

// isCompressed reports whether a type in the log is that of a compressed column.
func isCompressed(typ byte) bool { return typ == typeBlobCompressed || typ == typeVarcharCompressed }

// errTableMap says that the description of a table cannot be read.
var errTableMap = errors.New("malformed description of a table")

// correctMetas reads the meta data of a table with compressed columns again: the library does not know their types, takes
// them to have no meta data, and reads what follows in the wrong place.
//
//	header: 19 bytes | table id: 6 | flags: 2 | database: length, text, 0 | table: length, text, 0 | number of columns:
//	packed | their types | length of the meta data: packed | meta data | …
func correctMetas(m *replication.TableMapEvent, event []byte) error {
	if !slices.ContainsFunc(m.ColumnType, isCompressed) {
		return nil
	}
	at := replication.EventHeaderSize + 6 + 2 + 1 + len(m.Schema) + 1 + 1 + len(m.Table) + 1
	if at >= len(event) {
		return errTableMap
	}
	_, _, n := mysql.LengthEncodedInt(event[at:])
	if at += n + len(m.ColumnType); at >= len(event) {
		return errTableMap
	}
	metas, _, _, err := mysql.LengthEncodedString(event[at:])
	if err != nil {
		return errors.Join(errTableMap, err)
	}
	m.ColumnMeta, err = metasOf(m.ColumnType, metas)
	return err
}

// metasOf reads the meta data of columns of the types.
func metasOf(types, b []byte) ([]uint16, error) {
	metas := make([]uint16, len(types))
	for i, typ := range types {
		size := 0
		switch typ {
		case typeBlob, typeBlobCompressed, typeDouble, typeFloat, typeGeometry, typeVector, typeJSON, typeTime2, typeDatetime2, typeTimestamp2:
			size = 1
		case typeVarchar, typeVarcharCompressed, typeVarString, typeBit, typeString, typeNewDecimal:
			size = 2
		}
		if size > len(b) {
			return nil, errTableMap
		}
		switch {
		case size == 1:
			metas[i] = uint16(b[0])
		case typ == typeString || typ == typeNewDecimal: // two numbers of a byte
			metas[i] = binary.BigEndian.Uint16(b)
		case size == 2:
			metas[i] = binary.LittleEndian.Uint16(b)
		}
		b = b[size:]
	}
	return metas, nil
}
