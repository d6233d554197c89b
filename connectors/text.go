package connectors

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"time"
)

// TextStyle is one of the two ways in which Connect turns a value into text.
type TextStyle uint8

const (
	// JavaText is Java's toString: Struct{a=1,b=x}, [1, 2], {k=v}. Bytes have no text in it.
	JavaText TextStyle = iota
	// HeaderText is that of Connect's Values class, much like JSON: {"a":1,"b":"x"}, [1,2]; bytes in base64, dates in
	// ISO 8601.
	HeaderText
)

// AppendText appends a value as text. A string is its own text; schemaless objects and arrays are their JSON text in
// both styles. ParseText is its opposite.
func AppendText(dst []byte, d Data, style TextStyle) ([]byte, error) {
	if d.Schema == nil {
		if len(d.Bytes) > 0 && d.Bytes[0] == '"' {
			return AppendJSONText(dst, d.Bytes)
		}
		return AppendCanonicalJSON(dst, d.Bytes)
	}
	v, rest, err := ReadValue(d.Schema, d.Bytes)
	if err != nil {
		return dst, err
	}
	if len(rest) > 0 {
		return dst, fmt.Errorf("%d bytes after the value: %w", len(rest), ErrMalformed)
	}
	return style.append(dst, d.Schema, v, false)
}

// append appends v. Inside of another value (embedded) the header style puts quotes around text.
func (style TextStyle) append(dst []byte, s *Schema, v Value, embedded bool) ([]byte, error) {
	if v.IsNull() && s.Default != nil {
		v = *s.Default // as Struct.get answers
	}
	if v.IsNull() {
		return append(dst, "null"...), nil
	}
	switch s.Name {
	case DecimalName:
		if s.Type == Bytes {
			scale, err := DecimalScale(s)
			return AppendDecimal(dst, v.Raw(), scale), err
		}
	case DateName, TimeName, TimestampName:
		return style.appendTime(dst, s.Name, v.Int()), nil
	}
	switch s.Type {
	case Boolean:
		return strconv.AppendBool(dst, v.Bool()), nil
	case Int8, Int16, Int32, Int64:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case Float32:
		return AppendJavaFloat(dst, v.Float(), 32), nil
	case Float64:
		return AppendJavaFloat(dst, v.Float(), 64), nil
	case String:
		return style.appendString(dst, v.Raw(), embedded), nil
	case Bytes:
		if style == JavaText {
			return dst, fmt.Errorf("bytes have no text form")
		}
		return style.appendString(dst, base64.StdEncoding.AppendEncode(nil, v.Raw()), embedded), nil
	case Struct:
		return style.appendStruct(dst, s, v)
	}
	return style.appendItems(dst, s, v)
}

// appendString escapes backslashes and quotes, and nothing else, as Connect does.
func (style TextStyle) appendString(dst, text []byte, embedded bool) []byte {
	if style == JavaText || !embedded {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	for _, c := range text {
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

func (style TextStyle) appendStruct(dst []byte, s *Schema, v Value) ([]byte, error) {
	if style == JavaText {
		dst = append(dst, "Struct"...)
	}
	dst = append(dst, '{')
	first := true
	var err error
	for i, item := range v.List() {
		if style == JavaText && item.IsNull() {
			continue // Struct.toString leaves them out
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = style.appendString(dst, []byte(s.Fields[i].Name), true)
		if style == JavaText {
			dst = append(dst, '=')
		} else {
			dst = append(dst, ':')
		}
		if dst, err = style.append(dst, s.Fields[i].Schema, item, true); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func (style TextStyle) appendItems(dst []byte, s *Schema, v Value) ([]byte, error) {
	brackets, colon, step := "[]", byte(':'), 1
	if s.Type == Map {
		brackets, step = "{}", 2
	}
	if style == JavaText {
		colon = '='
	}
	dst = append(dst, brackets[0])
	var err error
	for i, item := range v.List() {
		of := s.Elem
		switch {
		case step == 2 && i%2 == 1:
			dst = append(dst, colon)
		case i > 0:
			dst = append(dst, ',')
			if style == JavaText {
				dst = append(dst, ' ')
			}
		}
		if step == 2 && i%2 == 0 {
			of = s.Key
		}
		if dst, err = style.append(dst, of, item, true); err != nil {
			return dst, err
		}
	}
	return append(dst, brackets[1]), nil
}

// appendTime appends one of Connect's dates and times, in UTC. The header style chooses the form by the value, as
// Connect does: the time alone within the first day of 1970, the date alone at midnight.
func (style TextStyle) appendTime(dst []byte, name string, n int64) []byte {
	const day = 24 * 60 * 60 * 1000
	if name == DateName {
		n *= day
	}
	t, layout := time.UnixMilli(n).UTC(), "2006-01-02T15:04:05.000Z"
	switch {
	case style == JavaText:
		layout = "Mon Jan 02 15:04:05 UTC 2006"
	case n < day:
		layout = "15:04:05.000Z"
	case n%day == 0:
		layout = "2006-01-02"
	}
	return t.AppendFormat(dst, layout)
}
