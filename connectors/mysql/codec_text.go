package mysql

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

func appendText(dst, text []byte) ([]byte, error) { return connectors.AppendBytes(dst, text), nil }

func appendUTF8(dst, text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return dst, errUTF8
	}
	return connectors.AppendBytes(dst, text), nil
}

// str is a codec of text. A SELECT gives it in UTF-8, the log in the column's character set.
func (c *codecs) str(ctx context.Context, col *column) (codec, error) {
	decode, err := c.charsets.of(ctx, col.Charset)
	if err != nil {
		return codec{}, fmt.Errorf("column %s: %w", col.Name, err)
	}
	log := appendFunc(appendUTF8)
	if decode != nil {
		var scratch []byte
		log = func(dst, raw []byte) ([]byte, error) {
			var err error
			if scratch, err = decode(scratch[:0], raw); err != nil {
				return dst, err
			}
			return connectors.AppendBytes(dst, scratch), nil
		}
	}
	return codec{schema: connectors.StringSchema, text: appendUTF8, zero: connectors.StringValue(""), log: asString(log)}, nil
}

// asString is the log function of everything that is stored as a string.
func asString(f appendFunc) func(byte, uint16) appendFunc {
	return func(t byte, meta uint16) appendFunc {
		switch t {
		case typeVarchar, typeVarString, typeString, typeBlob:
			return f
		case typeVarcharCompressed, typeBlobCompressed:
			return inflated(f, t, meta)
		}
		return nil
	}
}

// labelled is a codec of an enum or set: the log has the number of the label, from 1, or one bit for each.
func labelled(col *column) codec {
	name, typ := cdc.EnumName, byte(typeEnum)
	if col.Type == "set" {
		name, typ = cdc.EnumSetName, typeSet
	}
	labels := col.Labels
	allowed := make([]string, len(labels))
	for i, l := range labels {
		allowed[i] = strings.ReplaceAll(l, ",", `\,`)
	}
	k := codec{schema: cdc.Enum(name, strings.Join(allowed, ",")), text: appendUTF8, zero: connectors.StringValue("")}
	enum := func(dst, raw []byte) ([]byte, error) {
		n := little(raw)
		if n > uint64(len(labels)) {
			return dst, fmt.Errorf("label %d of %d", n, len(labels))
		}
		if n == 0 { // what an invalid value became
			return connectors.AppendString(dst, ""), nil
		}
		return connectors.AppendString(dst, labels[n-1]), nil
	}
	var scratch []byte
	set := func(dst, raw []byte) ([]byte, error) {
		n := little(raw)
		if len(labels) < 64 && n>>len(labels) != 0 {
			return dst, fmt.Errorf("labels %#x of %d", n, len(labels))
		}
		scratch = scratch[:0]
		for i, l := range labels {
			if n>>i&1 == 1 {
				if len(scratch) > 0 {
					scratch = append(scratch, ',')
				}
				scratch = append(scratch, l...)
			}
		}
		return connectors.AppendBytes(dst, scratch), nil
	}
	if typ == typeEnum {
		k.log = only(typ, enum)
	} else {
		k.log = only(typ, set)
	}
	return k
}

// binary is a codec of bytes. The log leaves out zeros at the end of a binary(n).
func (c *codecs) binary(col *column) codec {
	k := codec{schema: c.modes.binary.Schema(), cannotDefault: strings.HasSuffix(col.Type, "blob"), zero: connectors.StringValue("")}
	if c.modes.binary == cdc.RawBinary {
		k.zero = connectors.BytesValue(nil)
	}
	k.text = func(dst, raw []byte) ([]byte, error) { return c.modes.binary.Append(dst, raw), nil }
	if col.Type != "binary" {
		k.log = asString(k.text)
		return k
	}
	padded := make([]byte, col.Length)
	k.log = asString(func(dst, raw []byte) ([]byte, error) {
		if len(raw) >= len(padded) {
			return c.modes.binary.Append(dst, raw), nil
		}
		clear(padded[copy(padded, raw):])
		return c.modes.binary.Append(dst, padded), nil
	})
	return k
}

func document() codec {
	var scratch []byte
	return codec{schema: cdc.Logical(connectors.String, cdc.JSONName), text: appendUTF8, zero: connectors.StringValue("null"), cannotDefault: true,
		log: only(typeJSON, func(dst, raw []byte) ([]byte, error) {
			var err error
			if scratch, err = appendJSON(scratch[:0], raw); err != nil {
				return dst, err
			}
			return appendUTF8(dst, scratch)
		})}
}
