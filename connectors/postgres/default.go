package postgres

import (
	"regexp"
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// defaultValue returns the default that a column's schema shows: the constant, or the type's stand-in for a default
// that only the server can evaluate; ok is false if it shows none.
func defaultValue(k codec, expr string) (connectors.Value, bool) {
	if expr == "" || k.cannotDefault {
		return connectors.Null(), false
	}
	constant, kind := literal(expr)
	switch {
	case kind == isNull, kind != isConstant && k.generated == nil, kind == isExpression && !k.expressions:
		return connectors.Null(), false
	case kind != isConstant:
		constant = *k.generated
	case k.schema.Type == connectors.Boolean && (constant == "true" || constant == "false"):
		constant = constant[:1]
	case k.places > 0:
		whole, fraction, _ := strings.Cut(constant, ".")
		constant = whole + "." + fraction + strings.Repeat("0", max(k.places-len(fraction), 0))
	}
	b, err := k.append(nil, []byte(constant))
	if err != nil {
		return connectors.Null(), false
	}
	v, _, err := connectors.ReadValue(k.schema, b)
	return v, err == nil
}

// What a default expression is.
type defaultKind int

const (
	isConstant defaultKind = iota
	isNull
	isCall       // of a function: now(), nextval('s'::regclass)
	isExpression // anything else
)

// call is what a call of a function looks like.
var call = regexp.MustCompile(`^\(?[A-Za-z0-9_.]+\(.*\)`)

// literal takes a default expression apart, as pg_get_expr prints it: 'EUR'::bpchar, (-1), 1.5, true.
func literal(expr string) (constant string, kind defaultKind) {
	kind = isExpression
	if call.MatchString(expr) {
		kind = isCall
	}
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
			return "", kind
		}
		value = strings.Trim(value, "()")
		switch {
		case strings.EqualFold(value, "NULL"):
			return "", isNull
		case value == "true" || value == "false" || isNumber(value):
			return value, isConstant
		}
		return "", kind
	}
	text, after, ok := unquote(rest, escaped)
	if !ok || after != "" && !isCast(strings.TrimPrefix(after, "::")) {
		return "", kind
	}
	return text, isConstant
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
