package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// errDimensions says that an array has more dimensions than its schema can show.
var errDimensions = errors.New("an array of more than one dimension has no place in its schema")

// appendArray returns the function for one-dimensional arrays: {1,NULL,"with \"quotes\""}, with bounds before it
// ([0:1]={…}) when they do not begin at 1. elem is the optional schema of an element, item its function.
//
//	count: long | for each element 0x00 or 0x02 and the value | 0
func appendArray(elem *connectors.Schema, delimiter byte, item appendFunc) appendFunc {
	var scratch []byte
	return func(dst, text []byte) ([]byte, error) {
		body, err := arrayBody(text)
		if err != nil {
			return dst, err
		}
		if len(body) == 0 {
			return append(dst, 0), nil
		}
		dst = connectors.AppendInt(dst, int64(countElements(body, delimiter)))
		for more := true; more; {
			var part []byte
			var quoted bool
			if part, quoted, body, more, err = nextElement(body, delimiter, &scratch); err != nil {
				return dst, fmt.Errorf("%w in array %.64q", err, text)
			}
			if !quoted && len(part) == 4 && bytes.EqualFold(part, []byte("NULL")) {
				dst = connectors.AppendNull(dst, elem)
				continue
			}
			if dst, err = item(connectors.AppendPresent(dst, elem), part); err != nil {
				return dst, err
			}
		}
		return append(dst, 0), nil
	}
}

// arrayBody returns what is between the braces.
func arrayBody(text []byte) ([]byte, error) {
	if len(text) > 0 && text[0] == '[' {
		i := bytes.IndexByte(text, '=')
		if i < 0 {
			return nil, malformed("array", text)
		}
		text = text[i+1:]
	}
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' {
		return nil, malformed("array", text)
	}
	body := text[1 : len(text)-1]
	if len(body) > 0 && body[0] == '{' {
		return nil, errDimensions
	}
	return body, nil
}

func countElements(body []byte, delimiter byte) int {
	n, quoted := 1, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == delimiter && !quoted:
			n++
		}
	}
	return n
}

// nextElement returns the first element of the body, without quotes and escapes, and what follows the delimiter.
func nextElement(body []byte, delimiter byte, scratch *[]byte) (part []byte, quoted bool, rest []byte, more bool, err error) {
	if len(body) == 0 || body[0] != '"' {
		part, more := body, false
		if i := bytes.IndexByte(body, delimiter); i >= 0 {
			part, rest, more = body[:i], body[i+1:], true
		}
		// The server quotes an element with either of these (array_out); countElements goes by them.
		if bytes.IndexByte(part, '\\') >= 0 || bytes.IndexByte(part, '"') >= 0 {
			return nil, false, nil, false, errMalformed
		}
		return part, false, rest, more, nil
	}
	out := (*scratch)[:0]
	for i := 1; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
			if i < len(body) {
				out = append(out, body[i])
			}
		case '"':
			*scratch = out
			if i+1 == len(body) {
				return out, true, nil, false, nil
			}
			if body[i+1] != delimiter {
				return nil, true, nil, false, errMalformed
			}
			return out, true, body[i+2:], true, nil
		default:
			out = append(out, body[i])
		}
	}
	return nil, true, nil, false, errMalformed
}

// pairs calls do for each pair of an hstore: "key"=>"value", "key"=>NULL. The arguments are valid during the call.
func pairs(text []byte, do func(key, value []byte, null bool)) error {
	var key, value []byte
	for rest := text; len(rest) > 0; {
		var ok bool
		if key, rest, ok = hstoreString(key[:0], rest); !ok || len(rest) < 2 || rest[0] != '=' || rest[1] != '>' {
			return malformed("hstore", text)
		}
		rest = rest[2:]
		null := len(rest) >= 4 && bytes.EqualFold(rest[:4], []byte("NULL"))
		if null {
			rest = rest[4:]
		} else if value, rest, ok = hstoreString(value[:0], rest); !ok {
			return malformed("hstore", text)
		}
		do(key, value, null)
		if len(rest) == 0 {
			break
		}
		if !bytes.HasPrefix(rest, []byte(", ")) || len(rest) == 2 {
			return malformed("hstore", text)
		}
		rest = rest[2:]
	}
	return nil
}

func hstoreString(dst, text []byte) (out, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return dst, nil, false
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if i++; i < len(text) {
				dst = append(dst, text[i])
			}
		case '"':
			return dst, text[i+1:], true
		default:
			dst = append(dst, text[i])
		}
	}
	return dst, nil, false
}

// appendHstoreJSON returns the function for hstore as a JSON object in the order sent.
func appendHstoreJSON() appendFunc {
	var scratch []byte
	return func(dst, text []byte) ([]byte, error) {
		out := append(scratch[:0], '{')
		err := pairs(text, func(key, value []byte, null bool) {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(appendJSONText(out, key), ':')
			if null {
				out = append(out, "null"...)
			} else {
				out = appendJSONText(out, value)
			}
		})
		scratch = append(out, '}')
		if err != nil {
			return dst, err
		}
		return connectors.AppendBytes(dst, scratch), nil
	}
}

// appendHstoreMap appends hstore as a map of strings to optional strings.
func appendHstoreMap(dst, text []byte) ([]byte, error) {
	n := int64(0)
	if err := pairs(text, func([]byte, []byte, bool) { n++ }); err != nil {
		return dst, err
	}
	if n > 0 {
		dst = connectors.AppendInt(dst, n)
	}
	pairs(text, func(key, value []byte, null bool) {
		dst = connectors.AppendBytes(dst, key)
		if null {
			dst = cdc.AppendOptionalNull(dst)
		} else {
			dst = connectors.AppendBytes(append(dst, 2), value)
		}
	})
	return append(dst, 0), nil
}

// appendJSONText appends a JSON string as Jackson writes one into a text, which is what Debezium's value for hstore is.
// connectors.AppendJSONString is another thing: it writes what goes out as bytes, where JsonConverter escapes
// characters beyond the basic plane; these would be escaped twice here.
func appendJSONText(dst, s []byte) []byte {
	const hexDigits = "0123456789ABCDEF"
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// checked wraps a function for servers that do not check the encoding of text (SQL_ASCII).
func checked(f appendFunc) appendFunc {
	return func(dst, text []byte) ([]byte, error) {
		if !utf8.Valid(text) {
			return dst, fmt.Errorf("text is not UTF-8: %.64q", text)
		}
		return f(dst, text)
	}
}
