package avro

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseJavaDouble reads a number in quotes as Double.parseDouble does.
func parseJavaDouble(s string) (float64, error) {
	s = strings.TrimSpace(s)
	switch strings.TrimLeft(s, "+-") {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return strconv.ParseFloat(s, 64)
	}
	if strings.ContainsAny(s, "_nN") { // what Go reads and Java does not: digit separators, inf, nan
		return 0, strconv.ErrSyntax
	}
	if l := len(s) - 1; l > 0 && strings.ContainsRune("dDfF", rune(s[l])) && !strings.ContainsAny(s, "xX") {
		s = s[:l]
	}
	f, err := strconv.ParseFloat(s, 64)
	if errors.Is(err, strconv.ErrRange) {
		err = nil
	}
	return f, err
}

func (p *parser) symbols(s *Schema, n *node) error {
	list := n.member("symbols")
	if list == nil || list.kind != arrayNode {
		return fmt.Errorf("no symbols")
	}
	seen := make(map[string]bool, len(list.items))
	for _, item := range list.items {
		if item.kind != stringNode || !p.validName(item.text, validName) {
			return fmt.Errorf("the symbol %s must consist of letters, digits and _", excerpt(item))
		}
		if seen[item.text] {
			return fmt.Errorf("the symbol %s twice", item.text)
		}
		seen[item.text] = true
		s.Symbols = append(s.Symbols, item.text)
	}
	s.enumDefault = optionalText(n, "default")
	if s.enumDefault != nil && !seen[*s.enumDefault] {
		return fmt.Errorf("the default %q is not among the symbols", *s.enumDefault)
	}
	return nil
}

// maxFixed is the most bytes that Java has in an array.
const maxFixed = 1<<31 - 1 - 8

func fixedSize(s *Schema, n *node) error {
	size := n.member("size")
	if size == nil || !size.isInteger() {
		return fmt.Errorf("no size, or not an integer")
	}
	i, err := strconv.ParseInt(size.text, 10, 32)
	if err != nil || i < 0 || i > maxFixed {
		return fmt.Errorf("the size %s is out of range", size.text)
	}
	s.Size = int(i)
	return nil
}

func optionalText(n *node, name string) *string {
	if text, ok := n.memberText(name); ok {
		return &text
	}
	return nil
}

func parseAliases(n *node) ([]string, error) {
	list := n.member("aliases")
	if list == nil {
		return nil, nil
	}
	if list.kind != arrayNode {
		return nil, fmt.Errorf("aliases are not an array: %s", excerpt(list))
	}
	var aliases []string
	seen := make(map[string]bool)
	for _, item := range list.items {
		if item.kind != stringNode {
			return nil, fmt.Errorf("the alias %s is not a string", excerpt(item))
		}
		if !seen[item.text] {
			seen[item.text] = true
			aliases = append(aliases, item.text)
		}
	}
	return aliases, nil
}

// typeAliases returns the aliases of a named type, each once, as full names.
func (p *parser) typeAliases(n *node, namespace string) ([]string, error) {
	list, err := parseAliases(n)
	var aliases []string
	seen := make(map[string]bool)
	for _, a := range list {
		if _, simple := splitName(a); !p.validName(simple, validName) {
			return nil, fmt.Errorf("the alias %q must consist of letters, digits and _", a)
		}
		if full := aliasName(a, namespace); !seen[full] {
			seen[full] = true
			aliases = append(aliases, full)
		}
	}
	return aliases, err
}

// properties returns the members that are not reserved where they stand: in a schema of type t, or in a field, for
// which t is Union.
func properties(n *node, t Type) []prop {
	var list []prop
	for i, name := range n.names {
		switch name {
		case "type", "name", "doc", "aliases":
			continue
		case "namespace", "fields", "items", "values", "size", "symbols":
			if t != Union {
				continue
			}
		case "default":
			if t == Union || t == Enum {
				continue
			}
		case "order":
			if t == Union {
				continue
			}
		}
		list = append(list, prop{name, n.items[i]})
	}
	return list
}

// excerpt shows the beginning of n in an error.
func excerpt(n *node) string {
	text := string(n.appendJSON(nil))
	if len(text) > 100 {
		text = strings.ToValidUTF8(text[:100], "") + "…"
	}
	return text
}
