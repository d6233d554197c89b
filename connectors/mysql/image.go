package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// image is how the rows of a table stand in the log, by the description that precedes them.
type image struct {
	*table
	extents []extent
	reader  reader
	// versioned: the log has two columns more than the definition, the period in which a version of a row holds.
	versioned bool
}

// errDrift says that the log describes a table in another way than its definition does.
var errDrift = errors.New("the definition does not fit the log")

// image prepares to read rows of the table, whose columns have the types and meta data. It fails if the definition is
// not that of the rows.
func (t *table) image(types []byte, metas []uint16) (*image, error) {
	versioned := t.def.Versioned && hiddenPeriod(types, metas, len(t.fields))
	if len(types) != len(t.fields) && !versioned {
		return nil, fmt.Errorf("%w: %d columns in the log, %d in the definition", errDrift, len(types), len(t.fields))
	}
	m := &image{table: t, extents: make([]extent, len(types)), reader: make(reader, len(types)), versioned: versioned}
	for i, typ := range types {
		var err error
		if m.extents[i], err = extentOf(typ, metas[i]); err != nil {
			return nil, fmt.Errorf("%w: column %s: %w", errDrift, t.fields[i].name, err)
		}
		if i >= len(t.fields) || t.fields[i].schema == nil {
			continue
		}
		col := &t.def.Columns[i]
		real, arg := realType(typ, metas[i])
		if m.reader[i] = t.fields[i].codec.log(real, metas[i]); m.reader[i] == nil || !fits(col, real, arg, metas[i]) {
			return nil, fmt.Errorf("%w: column %s is %s(%d,%d) in the definition, and has the type %d with %#x in the log", errDrift, col.Name, col.Type, col.Length, col.Scale, real, metas[i])
		}
	}
	return m, nil
}

// fits reports whether the sizes in the log are those of the definition.
func fits(c *column, real byte, arg int, meta uint16) bool {
	switch real {
	case typeNewDecimal:
		return c.Length == int(meta>>8) && max(c.Scale, 0) == int(meta&0xff)
	case typeTimestamp2, typeDatetime2, typeTime2:
		return c.digits() == arg
	case typeBit:
		return c.Length == int(meta>>8)*8+int(meta&0xff)
	case typeBlob, typeBlobCompressed:
		switch c.Type {
		case "tinytext", "tinyblob":
			return arg == 1
		case "text", "blob":
			return arg == 2
		case "mediumtext", "mediumblob":
			return arg == 3
		}
	case typeVarchar, typeVarcharCompressed:
		if real == typeVarcharCompressed {
			arg-- // the first byte of a value
		}
		if c.Type == "varchar" && c.Length >= 0 {
			return arg >= c.Length && arg <= 4*c.Length
		}
		if c.Type == "varbinary" {
			return arg == c.Length
		}
	case typeString:
		if c.Type == "char" {
			return arg >= c.Length && arg <= 4*c.Length
		}
		if c.Type == "binary" {
			return arg == c.Length
		}
	}
	return true
}

// sameRow reports whether two rows have the same captured values.
func (im *image) sameRow(a, b []cell) bool {
	for i := range im.fields {
		if !im.fields[i].out || b[i].kind == cellAbsent {
			continue
		}
		if a[i].kind != b[i].kind || view(a[i].raw) != view(b[i].raw) && !im.sameValue(i, a[i].raw, b[i].raw) {
			return false
		}
	}
	return true
}

// sameValue reports whether two values that differ in the log are the same: a session may have compressed one in another way.
func (im *image) sameValue(i int, a, b []byte) bool {
	if im.extents[i].most == 0 {
		return false
	}
	before, err := im.reader[i](nil, a)
	if err != nil {
		return false
	}
	after, err := im.reader[i](nil, b)
	return err == nil && bytes.Equal(before, after)
}

// original returns cells of a row without compression; a value that cannot be read is empty.
func (im *image) original(cells []cell) []cell {
	cells = slices.Clone(cells)
	for i := range cells {
		if c := &cells[i]; c.kind == cellValue && im.extents[i].most > 0 {
			from := inflater{most: im.extents[i].most}
			c.raw, _ = from.value(c.raw)
		}
	}
	return cells
}

// A table of MariaDB's with system versioning keeps the former versions of its rows. Unless its definition names them, the
// two columns that say from when to when a version holds are in the log only, behind all others. There an
// update is one and the insert of the former version, and a delete is an update that ends the version (MariaDB
// documentation, "System-Versioned Tables"). The connector gives the table as a SELECT does: the present rows.

// periodEnd is the name of the last of them in a log that describes itself.
const periodEnd = "row_end"

// hiddenPeriod reports whether the log has the two columns behind those of a definition with so many.
func hiddenPeriod(types []byte, metas []uint16, defined int) bool {
	n := len(types)
	return n == defined+2 && types[n-1] == typeTimestamp2 && types[n-2] == typeTimestamp2 && metas[n-1] == 6 && metas[n-2] == 6
}

// former reports whether the row is a version that has ended. One that holds ends with the greatest timestamp there is, of
// which there are two: of 31 bits, and of 32 from MariaDB 11.5 on.
//
//	timestamp(6): seconds: uint32 | microseconds: 3 bytes, big-endian both
func (im *image) former(cells []cell) bool {
	if !im.versioned {
		return false
	}
	end := cells[len(cells)-1]
	if end.kind != cellValue || len(end.raw) != 7 {
		return false // the log has only what changed
	}
	seconds := binary.BigEndian.Uint32(end.raw)
	return seconds != math.MaxInt32 && seconds != math.MaxUint32
}
