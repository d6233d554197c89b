package postgres

import (
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// defaultValue returns the default that a column's schema shows: the constant, or the type's stand-in for a default
// that only the server can evaluate; ok is false if it shows none.
func defaultValue(k codec, expr string) (connectors.Value, bool) {
	if expr == "" || k.cannotDefault {
		return connectors.Null(), false
	}
	constant, ok, null := literal(expr)
	if null {
		return connectors.Null(), false
	}
	if !ok {
		if constant = k.generated; constant == "" {
			return connectors.Null(), false
		}
	}
	if constant == "true" || constant == "false" {
		if k.schema.Type == connectors.Boolean {
			constant = constant[:1]
		}
	}
	b, err := k.append(nil, []byte(constant))
	if err != nil {
		return connectors.Null(), false
	}
	v, _, err := connectors.ReadValue(k.schema, b)
	return v, err == nil
}

// literal takes a default expression apart, as pg_get_expr prints it: 'EUR'::bpchar, (-1), 1.5, true. ok is false if
// it is not a constant; null says that it is the constant null.
func literal(expr string) (constant string, ok, null bool) {
	expr = strings.TrimSpace(expr)
	for strings.HasPrefix(expr, "(") && strings.HasSuffix(expr, ")") && !strings.ContainsAny(expr[1:len(expr)-1], "()'") {
		expr = expr[1 : len(expr)-1]
	}
	rest, escaped := strings.CutPrefix(expr, "E'")
	if !escaped {
		rest, _ = strings.CutPrefix(expr, "'")
	}
	if len(rest) == len(expr) { // not quoted
		value, cast, _ := strings.Cut(expr, "::")
		if strings.ContainsAny(cast, "()'") && !isCast(cast) {
			return "", false, false
		}
		value = strings.Trim(value, "()")
		switch {
		case strings.EqualFold(value, "NULL"):
			return "", false, true
		case value == "true" || value == "false" || isNumber(value):
			return value, true, false
		}
		return "", false, false
	}
	text, after, ok := unquote(rest, escaped)
	if !ok || after != "" && !isCast(strings.TrimPrefix(after, "::")) {
		return "", false, false
	}
	return text, true, false
}

// unquote reads up to the closing quote and returns what follows it.
func unquote(s string, escaped bool) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'', escaped && s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '\'':
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// isCast reports whether the text is nothing but a type name, with modifiers and further casts.
func isCast(s string) bool {
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(` _"."()[],:`, c)) {
			return false
		}
	}
	return s != "" && !strings.HasPrefix(s, "(")
}

func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	digits := 0
	for _, c := range s {
		if c >= '0' && c <= '9' {
			digits++
		} else if c != '.' {
			return false
		}
	}
	return digits > 0
}
