package mysql

import (
	"context"

	"github.com/go-mysql-org/go-mysql/replication"
)

// describe returns the definition that the log gives of a table (binlog_row_metadata=FULL), completed with what is
// known of columns of the same name and form: defaults, comments, what the log has no place for.
func (st *stream) describe(ctx context.Context, m *replication.TableMapEvent, known *definition) (*definition, error) {
	d := &definition{Charset: "utf8mb4"}
	if known != nil {
		d.Charset, d.Comment, d.Versioned = known.Charset, known.Comment, known.Versioned
		for _, u := range known.Unique {
			if u.Name != primary {
				d.Unique = append(d.Unique, u)
			}
		}
	}
	names := m.ColumnNameString()
	unsigned, collations, enumCollations := m.UnsignedMap(), collationsOf(m, st.s.flavor.mariadb), m.EnumSetCollationMap()
	enums, sets, shapes := m.EnumStrValueMap(), m.SetStrValueMap(), m.GeometryTypeMap()
	for i := range names {
		typ, arg := realType(m.ColumnType[i], m.ColumnMeta[i])
		collation, isText := collations[i]
		if !isText {
			collation = enumCollations[i]
		}
		charset := ""
		if collation != 0 && collation != binaryCollation {
			var err error
			if charset, err = st.charsets.collation(ctx, collation); err != nil {
				return nil, trouble("read the collations", err)
			}
		}
		c := logColumn(typ, arg, m.ColumnMeta[i], charset, collation == binaryCollation)
		c.Name, c.Charset, c.Unsigned = names[i], charset, unsigned[i]
		if typ == typeEnum || typ == typeSet {
			raw := enums[i]
			if typ == typeSet {
				raw = sets[i]
			}
			var err error
			if c.Labels, err = st.labels(ctx, charset, raw); err != nil {
				return nil, err
			}
		} else if typ == typeGeometry {
			c.Type = shape(shapes[i])
		}
		if known != nil {
			if k := known.find(c.Name); k >= 0 && st.sameForm(ctx, &known.Columns[k], &c, m.ColumnType[i], m.ColumnMeta[i]) {
				c = known.Columns[k]
			}
		}
		if ok, null := m.Nullable(i); ok {
			c.NotNull = !null
		}
		d.Columns = append(d.Columns, c)
	}
	if n := len(d.Columns) - 2; known != nil && n > 0 && hiddenPeriod(m.ColumnType, m.ColumnMeta, n) && names[n+1] == periodEnd && known.find(periodEnd) < 0 {
		d.Columns, d.Versioned = d.Columns[:n], true
	}
	var key []string
	for _, i := range m.PrimaryKey {
		if int(i) < len(d.Columns) {
			key = append(key, d.Columns[i].Name)
		}
	}
	if len(key) > 0 {
		d.addIndex(primary, key)
	}
	d.sortKeys()
	return d, nil
}

// collationsOf returns the collations of the columns of text, by their number. A vector counts as text here, with the
// collation of bytes, and so does a geometry of MariaDB's.
func collationsOf(m *replication.TableMapEvent, mariadb bool) map[int]uint64 {
	out := map[int]uint64{}
	at := 0
	for i, typ := range m.ColumnType {
		real, _ := realType(typ, m.ColumnMeta[i])
		switch real {
		case typeString, typeVarString, typeVarchar, typeVarcharCompressed, typeBlob, typeBlobCompressed, typeVector:
		case typeGeometry:
			if !mariadb {
				continue
			}
		default:
			continue
		}
		switch {
		case len(m.DefaultCharset) > 0: // the most frequent one, then number and collation of the others
			out[i] = m.DefaultCharset[0]
			for j := 1; j+1 < len(m.DefaultCharset); j += 2 {
				if m.DefaultCharset[j] == uint64(at) {
					out[i] = m.DefaultCharset[j+1]
				}
			}
		case at < len(m.ColumnCharset):
			out[i] = m.ColumnCharset[at]
		}
		at++
	}
	return out
}

// labels returns the labels of an enum or set in UTF-8: the log has them in the column's character set.
func (st *stream) labels(ctx context.Context, charset string, raw []string) ([]string, error) {
	decode, err := st.charsets.of(ctx, charset)
	if err != nil || decode == nil {
		return raw, trouble("read a character set", err)
	}
	out := make([]string, len(raw))
	for i, l := range raw {
		b, err := decode(nil, []byte(l))
		if err != nil {
			return nil, err
		}
		out[i] = string(b)
	}
	return out, nil
}

// binaryCollation is the number of the collation of bytes.
const binaryCollation = 63

// sameForm reports whether a column as it is known can be the column that the log describes.
func (st *stream) sameForm(ctx context.Context, known, c *column, typ byte, meta uint16) bool {
	k, ok, err := st.comp.codecs.of(ctx, known)
	if err != nil || !ok {
		return ok
	}
	real, arg := realType(typ, meta)
	if k.log(real, meta) == nil || !fits(known, real, arg, meta) || known.Unsigned != c.Unsigned || known.Charset != c.Charset {
		return false
	}
	if len(known.Labels) != len(c.Labels) {
		return false
	}
	for i := range known.Labels {
		if known.Labels[i] != c.Labels[i] {
			return false
		}
	}
	return true
}

// shape returns the type of a geometry by its number in well-known binary.
func shape(n uint64) string {
	names := [...]string{"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection"}
	if n < uint64(len(names)) {
		return names[n]
	}
	return "geometry"
}

// logColumn returns the column that a type in the log stands for, without its name.
func logColumn(typ byte, arg int, meta uint16, charset string, bytes bool) column {
	c := column{Length: -1, Scale: -1}
	width := charWidth(charset)
	text := func(plain, binary string) {
		if c.Type = plain; bytes {
			c.Type, width = binary, 1
		}
	}
	switch typ {
	case typeTiny:
		c.Type = "tinyint"
	case typeShort:
		c.Type = "smallint"
	case typeInt24:
		c.Type = "mediumint"
	case typeLong:
		c.Type = "int"
	case typeLongLong:
		c.Type = "bigint"
	case typeYear:
		c.Type = "year"
	case typeFloat:
		c.Type = "float"
	case typeDouble:
		c.Type = "double"
	case typeNewDecimal:
		c.Type, c.Length, c.Scale = "decimal", int(meta>>8), int(meta&0xff)
	case typeBit:
		c.Type, c.Length = "bit", int(meta>>8)*8+int(meta&0xff)
	case typeDate:
		c.Type = "date"
	case typeTime, typeTime2:
		c.Type = "time"
		if typ == typeTime2 && arg > 0 {
			c.Length = arg
		}
	case typeDatetime, typeDatetime2:
		c.Type = "datetime"
		if typ == typeDatetime2 && arg > 0 {
			c.Length = arg
		}
	case typeTimestamp, typeTimestamp2:
		c.Type = "timestamp"
		if typ == typeTimestamp2 && arg > 0 {
			c.Length = arg
		}
	case typeEnum:
		c.Type = "enum"
	case typeSet:
		c.Type = "set"
	case typeJSON:
		c.Type = "json"
	case typeVector:
		c.Type = "vector"
	case typeGeometry:
		c.Type = "geometry"
	case typeVarchar, typeVarString:
		text("varchar", "varbinary")
		c.Length = arg / width
	case typeVarcharCompressed:
		text("varchar", "varbinary")
		c.Length = (arg - 1) / width
	case typeString:
		text("char", "binary")
		c.Length = arg / width
	case typeBlob, typeBlobCompressed:
		prefix := [...]string{"", "tiny", "", "medium", "long"}
		text("text", "blob")
		if arg > 0 && arg < len(prefix) {
			c.Type = prefix[arg] + c.Type
		}
	default:
		c.Type = "unknown"
	}
	return c
}

// charWidth returns how many bytes a character takes at most.
func charWidth(charset string) int {
	switch charset {
	case "utf8mb4", "utf16", "utf16le", "utf32", "gb18030":
		return 4
	case "utf8mb3", "utf8", "ujis", "eucjpms":
		return 3
	case "ucs2", "gbk", "gb2312", "big5", "sjis", "cp932", "euckr":
		return 2
	}
	return 1
}
