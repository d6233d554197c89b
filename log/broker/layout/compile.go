package layout

import (
	"fmt"
	"strconv"
	"strings"
)

// Compile reads a layout for one version. Its text is a constant of the program, so a mistake in it panics.
//
//	i8 i16 i32 i64 uuid   of so many bits; uuid of 128
//	string bytes          nullable or not
//	[T]                   array of T, nullable or not
//	{…}                   structure, with tagged fields at its end in a flexible version; the whole is one too
//	?{…}                  nullable structure
//	<1=T>                 in a structure: the tagged field 1. Only those need be there that are structures or have arrays
//	T:3+ T:3-5 T:3        only in these versions
func Compile(text string, version int16, flexible bool) Layout {
	c := compiler{text: text, rest: text, version: version, flexible: flexible}
	l := c.structure()
	if c.rest != "" {
		c.fail()
	}
	return l
}

type compiler struct {
	text, rest string
	version    int16
	flexible   bool
}

// structure reads up to a closing brace or the end.
func (c *compiler) structure() Layout {
	var l Layout
	var decoded []known
	for {
		c.rest = strings.TrimLeft(c.rest, " ")
		switch {
		case c.rest == "" || c.rest[0] == '}':
			if c.flexible {
				l = append(l, step{kind: tags, known: decoded})
			}
			return l
		case c.eat("<"):
			number := c.number(c.word())
			c.want("=")
			decoded = append(decoded, known{uint32(number), c.field()})
			c.want(">")
		default:
			field := c.field()
			if !c.there() {
				continue
			}
			if n := len(l); n > 0 && l[n-1].kind == fixed && field[0].kind == fixed {
				l[n-1].size += field[0].size
				field = field[1:]
			}
			l = append(l, field...)
		}
	}
}

func (c *compiler) field() Layout {
	switch {
	case c.eat("["):
		of := c.field()
		c.want("]")
		return Layout{{kind: array, width: c.width(four), size: of.least(), of: of}}
	case c.eat("?{"):
		of := c.structure()
		c.want("}")
		return Layout{{kind: optional, of: of}}
	case c.eat("{"):
		of := c.structure()
		c.want("}")
		return of
	}
	switch word := c.word(); word {
	case "string":
		return Layout{{kind: sized, width: c.width(two)}}
	case "bytes":
		return Layout{{kind: sized, width: c.width(four)}}
	case "uuid":
		return Layout{{kind: fixed, size: 16}}
	case "i8", "i16", "i32", "i64":
		return Layout{{kind: fixed, size: c.number(word[1:]) / 8}}
	}
	c.fail()
	return nil
}

func (c *compiler) width(plain width) width {
	if c.flexible {
		return compact
	}
	return plain
}

// there reads in which versions the field before is, and tells whether it is in this one.
func (c *compiler) there() bool {
	if !c.eat(":") {
		return true
	}
	word, version := c.word(), int(c.version)
	if from, ok := strings.CutSuffix(word, "+"); ok {
		return version >= c.number(from)
	}
	from, to, ok := strings.Cut(word, "-")
	if !ok {
		to = from
	}
	return version >= c.number(from) && version <= c.number(to)
}

func (c *compiler) eat(what string) bool {
	rest, ok := strings.CutPrefix(c.rest, what)
	c.rest = rest
	return ok
}

func (c *compiler) want(what string) {
	if !c.eat(what) {
		c.fail()
	}
}

func (c *compiler) word() string {
	n := strings.IndexAny(c.rest+" ", " :[]{}<>=")
	word := c.rest[:n]
	c.rest = c.rest[n:]
	return word
}

func (c *compiler) number(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		c.fail()
	}
	return n
}

func (c *compiler) fail() {
	panic(fmt.Sprintf("layout %q: mistake before %q", c.text, c.rest))
}

// least is how many bytes l takes at the least.
func (l Layout) least() int {
	n := 0
	for _, s := range l {
		switch {
		case s.kind == fixed:
			n += s.size
		case s.kind == optional || s.kind == tags || s.width == compact:
			n++
		case s.width == two:
			n += 2
		default:
			n += 4
		}
	}
	return n
}
