package s3

import (
	"encoding/binary"
	"math"

	"github.com/parquet-go/parquet-go"

	"github.com/sluicehub/sluice/connectors"
)

// shred appends the value at the start of src to the columns under c, with the repetition level of its place and the
// definition level reached so far, and returns what follows it (Parquet's record shredding, after Dremel).
func (c *column) shred(columns [][]parquet.Value, src []byte, rep, def int) ([]byte, error) {
	present, src, err := connectors.ReadPresent(c.schema, src)
	if err != nil {
		return nil, err
	}
	if !present {
		c.null(columns, rep, def)
		return src, nil
	}
	if c.schema.Optional {
		def++
	}
	switch c.schema.Type {
	case connectors.Struct:
		return c.shredFields(columns, src, rep, def)
	case connectors.Array, connectors.Map:
		return c.shredItems(columns, src, rep, def)
	}
	v, src, err := c.value(src)
	if err != nil {
		return nil, err
	}
	columns[c.index] = append(columns[c.index], v.Level(rep, def, c.index))
	return src, nil
}

func (c *column) shredFields(columns [][]parquet.Value, src []byte, rep, def int) (_ []byte, err error) {
	for _, part := range c.parts {
		if src, err = part.shred(columns, src, rep, def); err != nil {
			return nil, err
		}
	}
	return src, nil
}

func (c *column) shredItems(columns [][]parquet.Value, src []byte, rep, def int) ([]byte, error) {
	empty := true
	for {
		n, rest, err := connectors.ReadInt(src)
		if err != nil {
			return nil, err
		}
		src = rest
		if n == 0 {
			break
		}
		if n < 0 { // followed by the size of the block
			if _, src, err = connectors.ReadInt(src); err != nil {
				return nil, err
			}
			n = -n
		}
		for ; n > 0; n-- {
			at := c.rep
			if empty {
				at, empty = rep, false
			}
			if src, err = c.shredFields(columns, src, at, def+1); err != nil {
				return nil, err
			}
		}
	}
	if empty {
		for _, part := range c.parts {
			part.null(columns, rep, def)
		}
	}
	return src, nil
}

// null appends to all columns under c that there is nothing.
func (c *column) null(columns [][]parquet.Value, rep, def int) {
	if len(c.parts) == 0 {
		columns[c.index] = append(columns[c.index], parquet.NullValue().Level(rep, def, c.index))
		return
	}
	for _, part := range c.parts {
		part.null(columns, rep, def)
	}
}

// value reads a value that is present. Strings and bytes share src.
func (c *column) value(src []byte) (v parquet.Value, rest []byte, err error) {
	switch c.kind {
	case parquet.Boolean:
		if len(src) < 1 {
			return v, nil, connectors.ErrTruncated
		}
		return parquet.BooleanValue(src[0] != 0), src[1:], nil
	case parquet.Int32:
		i, rest, err := connectors.ReadInt(src)
		return parquet.Int32Value(int32(i)), rest, err
	case parquet.Int64:
		i, rest, err := connectors.ReadInt(src)
		return parquet.Int64Value(i), rest, err
	case parquet.Float:
		if len(src) < 4 {
			return v, nil, connectors.ErrTruncated
		}
		return parquet.FloatValue(math.Float32frombits(binary.LittleEndian.Uint32(src))), src[4:], nil
	case parquet.Double:
		if len(src) < 8 {
			return v, nil, connectors.ErrTruncated
		}
		return parquet.DoubleValue(math.Float64frombits(binary.LittleEndian.Uint64(src))), src[8:], nil
	}
	b, rest, err := connectors.ReadBytes(src)
	return parquet.ByteArrayValue(b), rest, err
}
