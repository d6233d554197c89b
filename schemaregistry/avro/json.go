package avro

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of the text of a schema. The size is some four times what a log's record may hold; the nesting is that of
// the JSON text, of which one level of records takes four.
const (
	maxText    = 4 << 20
	maxNesting = 500
)

type kind uint8

const (
	nullNode kind = iota
	boolNode
	intNode
	floatNode
	stringNode
	arrayNode
	objectNode
)

// node is a JSON value that keeps what encoding/json would lose: the order of an object's members, the exactness of
// integers, and whether a number was written as one. Numbers are kept in the form that Java prints them in.
type node struct {
	kind  kind
	text  string // string: its content; number, boolean: its literal
	items []*node
	names []string // of an object, one for each of items
}

func textNode(s string) *node   { return &node{kind: stringNode, text: s} }
func numberNode(i int64) *node  { return &node{kind: intNode, text: strconv.FormatInt(i, 10)} }
func literalNode(b bool) *node  { return &node{kind: boolNode, text: strconv.FormatBool(b)} }
func (n *node) add(item *node)  { n.items = append(n.items, item) }
func (n *node) isInteger() bool { return n.kind == intNode }
func (n *node) set(name string, item *node) {
	n.names, n.items = append(n.names, name), append(n.items, item)
}

// member returns the named member of an object, nil if n is not an object or has none.
func (n *node) member(name string) *node {
	for i := range n.names {
		if n.names[i] == name {
			return n.items[i]
		}
	}
	return nil
}

// memberText returns the named member if it is a string.
func (n *node) memberText(name string) (text string, ok bool) {
	if m := n.member(name); m != nil && m.kind == stringNode {
		return m.text, true
	}
	return "", false
}

// parseJSON reads what Jackson reads as Avro's parser sets it up: JSON with comments, of which the last of several
// members with one name counts.
func parseJSON(text string) (*node, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("the text has %d bytes, the limit is %d", len(text), maxText)
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("the text is not valid UTF-8")
	}
	p := &jsonParser{src: text}
	n, err := p.value(0)
	if err == nil {
		p.at = len(text) - len(strings.TrimLeft(text[p.at:], " \t\r\n")) // not even a comment may follow
		if p.at < len(p.src) {
			err = fmt.Errorf("unexpected %s after the end of the schema", p.here())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("JSON at byte %d: %w", p.at, err)
	}
	return n, nil
}

type jsonParser struct {
	src string
	at  int
}

// here shows the next character in an error.
func (p *jsonParser) here() string {
	if p.at >= len(p.src) {
		return "end"
	}
	r, _ := utf8.DecodeRuneInString(p.src[p.at:])
	return strconv.QuoteRune(r)
}

// space skips white space and comments.
func (p *jsonParser) space() error {
	for p.at < len(p.src) {
		switch c := p.src[p.at]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			p.at++
		case strings.HasPrefix(p.src[p.at:], "//"):
			if n := strings.IndexAny(p.src[p.at:], "\r\n"); n >= 0 {
				p.at += n
			} else {
				p.at = len(p.src)
			}
		case strings.HasPrefix(p.src[p.at:], "/*"):
			n := strings.Index(p.src[p.at+2:], "*/")
			if n < 0 {
				return fmt.Errorf("a comment without an end")
			}
			p.at += n + 4
		default:
			return nil
		}
	}
	return nil
}

// next skips space and takes c if it comes next.
func (p *jsonParser) next(c byte) (bool, error) {
	if err := p.space(); err != nil {
		return false, err
	}
	if p.at < len(p.src) && p.src[p.at] == c {
		p.at++
		return true, nil
	}
	return false, nil
}

func (p *jsonParser) expect(c byte) error {
	ok, err := p.next(c)
	if err == nil && !ok {
		err = fmt.Errorf("unexpected %s instead of %q", p.here(), c)
	}
	return err
}

func (p *jsonParser) value(depth int) (*node, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("nested deeper than %d", maxNesting)
	}
	if err := p.space(); err != nil {
		return nil, err
	}
	if p.at >= len(p.src) {
		return nil, fmt.Errorf("unexpected end")
	}
	switch c := p.src[p.at]; {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		s, err := p.str()
		return textNode(s), err
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if strings.HasPrefix(p.src[p.at:], word) {
			p.at += len(word)
			if word == "null" {
				return &node{}, nil
			}
			return &node{kind: boolNode, text: word}, nil
		}
	}
	return nil, fmt.Errorf("unexpected %s", p.here())
}

func (p *jsonParser) array(depth int) (*node, error) {
	p.at++
	n := &node{kind: arrayNode}
	if end, err := p.next(']'); end || err != nil {
		return n, err
	}
	for {
		item, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.add(item)
		if more, err := p.next(','); err != nil {
			return nil, err
		} else if !more {
			return n, p.expect(']')
		}
	}
}

// manyMembers is from how many members on an object's are looked up in a map.
const manyMembers = 16

func (p *jsonParser) object(depth int) (*node, error) {
	p.at++
	n := &node{kind: objectNode}
	if end, err := p.next('}'); end || err != nil {
		return n, err
	}
	var places map[string]int // of a large one's members, by name
	for {
		if err := p.space(); err != nil {
			return nil, err
		}
		if p.at >= len(p.src) || p.src[p.at] != '"' {
			return nil, fmt.Errorf("unexpected %s instead of a member's name", p.here())
		}
		name, err := p.str()
		if err != nil {
			return nil, err
		}
		if err = p.expect(':'); err != nil {
			return nil, err
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if len(n.names) == manyMembers {
			places = make(map[string]int)
			for i, earlier := range n.names {
				places[earlier] = i
			}
		}
		i, again := places[name]
		if places == nil {
			i = slices.Index(n.names, name)
			again = i >= 0
		}
		if again {
			n.items[i] = item
		} else {
			if places != nil {
				places[name] = len(n.items)
			}
			n.set(name, item)
		}
		if more, err := p.next(','); err != nil {
			return nil, err
		} else if !more {
			return n, p.expect('}')
		}
	}
}

func (p *jsonParser) str() (string, error) {
	p.at++
	start := p.at
	var b strings.Builder
	for p.at < len(p.src) {
		switch c := p.src[p.at]; {
		case c == '"':
			p.at++
			if b.Len() == 0 {
				return p.src[start : p.at-1], nil
			}
			b.WriteString(p.src[start : p.at-1])
			return b.String(), nil
		case c < ' ':
			return "", fmt.Errorf("a control character in a string must be escaped")
		case c == '\\':
			b.WriteString(p.src[start:p.at])
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
			start = p.at
		default:
			p.at++
		}
	}
	return "", fmt.Errorf("a string without an end")
}

// escape reads an escape sequence. A surrogate without its other half becomes U+FFFD.
func (p *jsonParser) escape() (rune, error) {
	if p.at+1 >= len(p.src) {
		return 0, fmt.Errorf("a string without an end")
	}
	c := p.src[p.at+1]
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		p.at += 2
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	r, ok := p.unicode()
	if !ok {
		return 0, fmt.Errorf("unknown escape sequence in a string")
	}
	if utf16.IsSurrogate(r) {
		before := p.at
		if low, ok := p.unicode(); ok {
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				return both, nil
			}
		}
		p.at = before
		return utf8.RuneError, nil
	}
	return r, nil
}

// unicode reads a backslash, u and four digits.
func (p *jsonParser) unicode() (rune, bool) {
	rest := p.src[p.at:]
	if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
		return 0, false
	}
	u, err := strconv.ParseUint(rest[2:6], 16, 16)
	if err != nil {
		return 0, false
	}
	p.at += 6
	return rune(u), true
}

func (p *jsonParser) digits() int {
	start := p.at
	for p.at < len(p.src) && p.src[p.at] >= '0' && p.src[p.at] <= '9' {
		p.at++
	}
	return p.at - start
}

func (p *jsonParser) number() (*node, error) {
	start := p.at
	if p.src[p.at] == '-' {
		p.at++
	}
	first := p.at
	if n := p.digits(); n == 0 || n > 1 && p.src[first] == '0' {
		return nil, fmt.Errorf("not a number")
	} else if n > 1000 {
		return nil, fmt.Errorf("a number of %d digits", n)
	}
	isFloat := false
	if p.at < len(p.src) && p.src[p.at] == '.' {
		isFloat = true
		p.at++
		if p.digits() == 0 {
			return nil, fmt.Errorf("not a number")
		}
	}
	if p.at < len(p.src) && (p.src[p.at] == 'e' || p.src[p.at] == 'E') {
		isFloat = true
		p.at++
		if p.at < len(p.src) && (p.src[p.at] == '+' || p.src[p.at] == '-') {
			p.at++
		}
		if p.digits() == 0 {
			return nil, fmt.Errorf("not a number")
		}
	}
	text := p.src[start:p.at]
	if !isFloat {
		if text == "-0" {
			text = "0"
		}
		return &node{kind: intNode, text: text}, nil
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range is ±Inf, as in Java
	return doubleNode(f, 64), nil
}
