package hub

import (
	"errors"
	"strings"
)

// loginModule is the one entry that sasl.jaas.config must have.
type loginModule struct {
	class   string
	options map[string]string
}

// parseJAAS reads sasl.jaas.config as Kafka's JaasConfig does:
//
//	CLASS FLAG NAME=VALUE … ;
//
// where FLAG is required, requisite, sufficient or optional, and a value is a word, or a text in single or double
// quotes with the escapes of Java. Comments are those of Java. No error shows a value.
func parseJAAS(text string) (loginModule, error) {
	l := jaasLexer{rest: text}
	m := loginModule{options: map[string]string{}}
	class, err := l.next()
	if err != nil {
		return m, err
	}
	if class.kind != jaasText {
		return m, errors.New("it names no login module")
	}
	m.class = class.text
	flag, err := l.next()
	if err != nil {
		return m, err
	}
	switch strings.ToLower(flag.text) {
	case "required", "requisite", "sufficient", "optional":
	default:
		return m, errors.New("after the login module there must be the word required")
	}
	for {
		name, err := l.next()
		if err != nil {
			return m, err
		}
		switch {
		case name.kind == jaasSymbol && name.text == ";":
			return m, l.end()
		case name.kind == jaasEnd:
			return m, errors.New("it must end with a semicolon")
		case name.kind != jaasText:
			return m, errors.New("after the login module there must be pairs NAME=\"VALUE\", with blanks between them, and a semicolon at the end")
		}
		equals, err := l.next()
		if err != nil {
			return m, err
		}
		if equals.kind != jaasSymbol || equals.text != "=" {
			return m, errors.New("there is a name without a value; a value that is more than letters and digits must be in quotes, and quotes in it need a backslash before them")
		}
		value, err := l.next()
		if err != nil {
			return m, err
		}
		if value.kind != jaasText {
			return m, errors.New("a name has no value; a value that does not begin with a letter must be in quotes")
		}
		m.options[name.text] = value.text
	}
}

// end reports what follows the first entry.
func (l *jaasLexer) end() error {
	after, err := l.next()
	if err == nil && after.kind != jaasEnd {
		err = errors.New("there is something after the semicolon; it must be one login module")
	}
	return err
}

type jaasKind int

const (
	jaasEnd    jaasKind = iota
	jaasText            // a word, or what was in quotes
	jaasNumber          // Java's tokenizer makes it no text, so Kafka refuses it as a value
	jaasSymbol
)

type jaasToken struct {
	kind jaasKind
	text string
}

// jaasLexer cuts a text as Java's StreamTokenizer does with the settings of Kafka's JaasConfig.
type jaasLexer struct{ rest string }

func (l *jaasLexer) next() (jaasToken, error) {
	if err := l.skip(); err != nil {
		return jaasToken{}, err
	}
	if l.rest == "" {
		return jaasToken{kind: jaasEnd}, nil
	}
	switch c := l.rest[0]; {
	case c == '"' || c == '\'':
		text, err := l.quoted(c)
		return jaasToken{jaasText, text}, err
	case isDigit(c):
		return jaasToken{jaasNumber, l.take(isDigit)}, nil
	case isWord(c):
		return jaasToken{jaasText, l.take(func(c byte) bool { return isWord(c) || isDigit(c) })}, nil
	}
	symbol := l.rest[:1]
	l.rest = l.rest[1:]
	return jaasToken{jaasSymbol, symbol}, nil
}

// isDigit reports what a number may begin with.
func isDigit(c byte) bool { return c >= '0' && c <= '9' || c == '.' || c == '-' }

// isWord reports what a word may begin with: bytes of 128 and above are parts of letters of other alphabets.
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c >= 128
}

func (l *jaasLexer) take(belongs func(byte) bool) string {
	n := 0
	for n < len(l.rest) && belongs(l.rest[n]) {
		n++
	}
	word := l.rest[:n]
	l.rest = l.rest[n:]
	return word
}

// skip passes blanks and comments: // and a lone / to the end of the line, /* to */.
func (l *jaasLexer) skip() error {
	for {
		l.rest = strings.TrimLeftFunc(l.rest, func(r rune) bool { return r <= ' ' })
		switch {
		case strings.HasPrefix(l.rest, "/*"):
			_, after, closed := strings.Cut(l.rest[2:], "*/")
			if !closed {
				return errors.New("a comment that begins with /* does not end")
			}
			l.rest = after
		case strings.HasPrefix(l.rest, "/"):
			if i := strings.IndexAny(l.rest, "\r\n"); i >= 0 {
				l.rest = l.rest[i:]
			} else {
				l.rest = ""
			}
		default:
			return nil
		}
	}
}

// The escapes of Java's StreamTokenizer, and what they stand for. Any other character stands for itself, digits for
// one in octal.
const (
	escapes = "abfnrtv"
	escaped = "\a\b\f\n\r\t\v"
)

// quoted reads a text in quotes.
func (l *jaasLexer) quoted(quote byte) (string, error) {
	var b strings.Builder
	s := l.rest[1:]
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			l.rest = s[i+1:]
			return b.String(), nil
		case c == '\n' || c == '\r':
			return "", errUnquoted
		case c == '\\' && i+1 < len(s):
			i++
			if isOctal(s[i]) {
				r, n := octal(s[i:])
				b.WriteRune(r)
				i += n - 1
			} else if e := strings.IndexByte(escapes, s[i]); e >= 0 {
				b.WriteByte(escaped[e])
			} else {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", errUnquoted
}

var errUnquoted = errors.New("a text in quotes does not end on its line; a backslash or a quote in a password needs a backslash before it, and in a .properties file each backslash is written twice")

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

// octal returns the character of at most three digits, the first of which is at most 3 if there are three.
func octal(s string) (r rune, n int) {
	most := 2
	if s[0] <= '3' {
		most = 3
	}
	for n < most && n < len(s) && isOctal(s[n]) {
		r = r*8 + rune(s[n]-'0')
		n++
	}
	return r, n
}
