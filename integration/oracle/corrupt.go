package oracle

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"unicode/utf8"
)

var token = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[a-z]+|[{}\[\],:]|\s+`)

// corrupted returns a text with one or two of its tokens changed: most results are no schemas any more, many still are.
func corrupted(r *rand.Rand, text string) string {
	tokens := token.FindAllString(text, -1)
	for range 1 + r.IntN(2) {
		if len(tokens) == 0 {
			return text
		}
		i := r.IntN(len(tokens))
		switch r.IntN(9) {
		case 0:
			tokens = append(tokens[:i], tokens[i+1:]...)
		case 1:
			tokens[i] += tokens[i]
		case 2:
			j := r.IntN(len(tokens))
			tokens[i], tokens[j] = tokens[j], tokens[i]
		case 3:
			tokens[i] = tokens[r.IntN(len(tokens))]
		case 4:
			tokens[i] = pick(r, "null", "1", "-1", "1.5", "true", `""`, "[]", "{}", `"x"`, `"x y"`, `"a.b"`, `"int"`, `"1x"`, "NaN", "01", "2147483648", "1e2")
		case 5:
			tokens[i] = pick(r, `"name"`, `"type"`, `"fields"`, `"namespace"`, `"aliases"`, `"default"`, `"order"`, `"doc"`, `"size"`, `"symbols"`,
				`"items"`, `"values"`, `"record"`, `"enum"`, `"fixed"`, `"array"`, `"map"`, `"error"`, `"union"`, `"logicalType"`)
		case 6:
			tokens[i] = pick(r, "/* c */", "// c\n", "# c\n", "\t", "\u00a0") + tokens[i]
		case 7:
			tokens[i] = within(r, tokens[i])
		case 8:
			tokens[i] = strings.ToUpper(tokens[i])
		}
	}
	return strings.Join(tokens, "")
}

// within changes a character inside a string.
func within(r *rand.Rand, s string) string {
	if len(s) < 3 || s[0] != '"' {
		return s
	}
	i := 1 + r.IntN(len(s)-2)
	for !utf8.RuneStart(s[i]) {
		i--
	}
	return s[:i] + pick(r, ".", "-", "é", `\u0041`, `\u0000`, "_", "9", " ", `\\`, `\"`, `\x`, "..", "$", "<") + s[i:]
}
