package connectors

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ParseText guesses what a text stands for, as Connect does for headers and literals (Values.parseString): null (a nil
// schema), true, false, the smallest integer or float that holds a number, a date, time or timestamp in ISO 8601, an
// array or a map, otherwise a string.
func ParseText(text string) (*Schema, Value) {
	p := textParser{text: text}
	if s, v, ok := p.value(0); ok && strings.TrimSpace(p.text[p.pos:]) == "" {
		return s, v
	}
	return StringSchema, StringValue(text)
}

// maxTextDepth bounds nested arrays and maps in a header.
const maxTextDepth = 32

type textParser struct {
	text string
	pos  int
}

// accept consumes c, with white space around it.
func (p *textParser) accept(c byte) bool {
	rest := strings.TrimLeft(p.text[p.pos:], " \t\r\n")
	if rest == "" || rest[0] != c {
		return false
	}
	p.pos = len(p.text) - len(strings.TrimLeft(rest[1:], " \t\r\n"))
	return true
}

// value reads one value; ok is false if there is none. A nil schema is null.
func (p *textParser) value(depth int) (s *Schema, v Value, ok bool) {
	switch {
	case depth > maxTextDepth:
		return nil, v, false
	case p.accept('['):
		return p.array(depth)
	case p.accept('{'):
		return p.object(depth)
	case depth > 0 && p.accept('"'):
		return p.quoted()
	}
	token := p.token(depth > 0)
	switch word := strings.TrimSpace(token); word {
	case "":
		return nil, v, false
	case "null":
		return nil, v, true
	case "true", "false":
		return BooleanSchema, BoolValue(word == "true"), true
	default:
		if s, v, ok := parseTemporal(word); ok {
			return s, v, ok
		}
		return parseNumber(word)
	}
}

// token consumes what stands before the next delimiter, or all that is left if delimiters have no meaning. The colons
// of a time belong to it.
func (p *textParser) token(embedded bool) string {
	start := p.pos
	if !embedded {
		p.pos = len(p.text)
		return p.text[start:]
	}
	rest := strings.TrimLeft(p.text[p.pos:], " \t\r\n")
	if m := temporalPrefix.FindString(rest); m != "" {
		p.pos = len(p.text) - len(rest) + len(m)
		return m
	}
	if i := strings.IndexAny(rest, `,:[]{}"`); i >= 0 {
		rest = rest[:i]
	}
	p.pos = strings.Index(p.text[start:], rest) + start + len(rest)
	return rest
}

// quoted reads the rest of a quoted string. Connect keeps the backslash of an escaped quote.
func (p *textParser) quoted() (*Schema, Value, bool) {
	start, escaped := p.pos, false
	// accept has eaten white space after the quote, which is part of the string.
	for p.text[start-1] != '"' {
		start--
	}
	for i := start; i < len(p.text); i++ {
		switch {
		case escaped:
			escaped = false
		case p.text[i] == '\\':
			escaped = true
		case p.text[i] == '"':
			p.pos = i + 1
			text := p.text[start:i]
			if s, v, ok := parseTemporal(text); ok {
				return s, v, ok
			}
			return StringSchema, StringValue(text), true
		}
	}
	return nil, Value{}, false
}

func (p *textParser) array(depth int) (s *Schema, v Value, ok bool) {
	var items items
	for !p.accept(']') {
		if len(items.values) > 0 && !p.accept(',') {
			return nil, v, false
		}
		s, v, ok := p.value(depth + 1)
		if !ok {
			return nil, v, false
		}
		items.add(s, v)
	}
	elem, list, ok := items.common()
	return &Schema{Type: Array, Elem: elem}, ListValue(Array, list), ok
}

func (p *textParser) object(depth int) (s *Schema, v Value, ok bool) {
	var keys, values items
	for !p.accept('}') {
		if len(keys.values) > 0 && !p.accept(',') {
			return nil, v, false
		}
		key, k, ok := p.value(depth + 1)
		if !ok || key == nil || !p.accept(':') {
			return nil, v, false
		}
		value, v, ok := p.value(depth + 1)
		if !ok {
			return nil, v, false
		}
		keys.add(key, k)
		values.add(value, v)
	}
	key, keyList, keysOK := keys.common()
	elem, valueList, valuesOK := values.common()
	if !keysOK || !valuesOK {
		return nil, v, false
	}
	list := make([]Value, 0, 2*len(keyList))
	for i := range keyList {
		list = append(list, keyList[i], valueList[i])
	}
	return &Schema{Type: Map, Key: key, Elem: elem}, ListValue(Map, list), true
}

// items are the elements of an array, or the keys or the values of a map.
type items struct {
	schemas []*Schema
	values  []Value
}

func (it *items) add(s *Schema, v Value) {
	it.schemas = append(it.schemas, s)
	it.values = append(it.values, v)
}

// common finds a schema for all elements: numbers widen, anything else must be equal. Nulls make it optional.
func (it *items) common() (*Schema, []Value, bool) {
	var common *Schema
	null := false
	for _, s := range it.schemas {
		switch {
		case s == nil:
			null = true
		case common == nil || number(common) && number(s) && s.Type > common.Type:
			common = s
		case number(common) && number(s), common.Equal(s):
		default:
			return nil, nil, false
		}
	}
	if common == nil {
		common = StringSchema
	}
	if null {
		common = common.AsOptional()
	}
	for i, v := range it.values {
		if it.schemas[i] == nil || v.Type == common.Type {
			continue
		}
		switch common.Type {
		case Float32, Float64:
			f := v.Float()
			if v.Type < Float32 {
				f = float64(v.Int())
			}
			it.values[i] = FloatValue(common.Type, f)
		default:
			it.values[i] = IntValue(common.Type, v.Int())
		}
	}
	return common, it.values, true
}

func number(s *Schema) bool {
	return s.Name == "" && s.Type >= Int8 && s.Type <= Float64
}

var (
	numberText     = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,9})?$`)
	temporalPrefix = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d\.\d{3}Z`)
)

// parseNumber reads a number into the smallest type that holds it: int8 to int64, for fractions float32 unless it is
// too large, otherwise a Decimal.
func parseNumber(text string) (*Schema, Value, bool) {
	if c := text[0]; c != '+' && c != '-' && (c < '0' || c > '9') || len(text) > 400 {
		return nil, Value{}, false
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return smallest(n)
	}
	if !numberText.MatchString(text) {
		return nil, Value{}, false
	}
	if i, ok := integerValue(text); ok {
		if i.IsInt64() {
			return smallest(i.Int64())
		}
		if !strings.ContainsAny(text, ".eE") {
			return &Schema{Type: Bytes, Name: DecimalName, Version: 1,
				Parameters: []Parameter{{Name: "scale", Value: "0"}}}, BytesValue(AppendDecimalInt(nil, i)), true
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, Value{}, false
	}
	if f32 := float32(f); !math.IsInf(float64(f32), 0) {
		return Float32Schema, FloatValue(Float32, float64(f32)), true
	}
	return Float64Schema, FloatValue(Float64, f), true
}

// smallest returns an integer in the smallest type that holds it.
func smallest(n int64) (*Schema, Value, bool) {
	s := Int64Schema
	switch {
	case n == int64(int8(n)):
		s = Int8Schema
	case n == int64(int16(n)):
		s = Int16Schema
	case n == int64(int32(n)):
		s = Int32Schema
	}
	return s, IntValue(s.Type, n), true
}

// integerValue returns the value of a number without a fraction, unless it is too long to be meant as an integer.
func integerValue(text string) (*big.Int, bool) {
	if exponent(text) > 400 {
		return nil, false
	}
	r, ok := new(big.Rat).SetString(strings.TrimPrefix(text, "+"))
	if !ok || !r.IsInt() {
		return nil, false
	}
	return r.Num(), true
}

// exponent returns the exponent written in a number, absolute.
func exponent(text string) int {
	i := strings.LastIndexAny(text, "eE")
	if i < 0 {
		return 0
	}
	n, err := strconv.Atoi(text[i+1:])
	if err != nil {
		return math.MaxInt
	}
	return max(n, -n)
}

// One schema for all values of a type saves whoever keeps something per schema from keeping it per value.
var (
	dateSchema      = &Schema{Type: Int32, Name: DateName, Version: 1}
	timeSchema      = &Schema{Type: Int32, Name: TimeName, Version: 1}
	timestampSchema = &Schema{Type: Int64, Name: TimestampName, Version: 1}
)

func parseTemporal(text string) (*Schema, Value, bool) {
	if len(text) == 0 || text[0] < '0' || text[0] > '9' {
		return nil, Value{}, false
	}
	text = strings.ReplaceAll(text, `\:`, ":")
	logical := func(s *Schema, n int64) (*Schema, Value, bool) { return s, IntValue(s.Type, n), true }
	switch len(text) {
	case len("2006-01-02"):
		if t, err := time.Parse("2006-01-02", text); err == nil {
			return logical(dateSchema, t.Unix()/86400)
		}
	case len("15:04:05.000Z"):
		if t, err := time.Parse("2006-01-02T15:04:05.000Z", "1970-01-01T"+text); err == nil {
			return logical(timeSchema, t.UnixMilli())
		}
	case len("2006-01-02T15:04:05.000Z"):
		if t, err := time.Parse("2006-01-02T15:04:05.000Z", text); err == nil {
			return logical(timestampSchema, t.UnixMilli())
		}
	}
	return nil, Value{}, false
}
