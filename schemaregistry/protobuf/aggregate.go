package protobuf

import (
	"errors"
	"slices"
	"strings"
)

var errAggregate = errors.New("not a message in text format")

// aggregate returns the value of a structured option as it is printed: each member and element on a line of its own, and
// members of one name as one list. The text is what stands between the outer braces; one that cannot be read is left as
// it is.
func aggregate(text string) string {
	s := &scanner{rest: text + "}"}
	printed, err := s.message("}", maxNesting)
	if err != nil || s.next() != "" {
		return "{ " + strings.TrimSpace(text) + " }"
	}
	return printed
}

// scanner reads the text format of messages.
type scanner struct{ rest string }

const punctuation = "{}[]<>:,;"

// next returns the next token, "" at the end.
func (s *scanner) next() string {
	s.rest = strings.TrimLeft(s.rest, " \t\r\n")
	n := len(s.rest)
	switch {
	case n == 0:
	case strings.IndexByte(punctuation, s.rest[0]) >= 0:
		n = 1
	case s.rest[0] == '"' || s.rest[0] == '\'':
		for i := 1; i < n; i++ {
			if s.rest[i] == '\\' {
				i++
			} else if s.rest[i] == s.rest[0] {
				n = i + 1
			}
		}
	default:
		if i := strings.IndexAny(s.rest, punctuation+" \t\r\n\"'"); i >= 0 {
			n = i
		}
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token
}

// skip passes over the token if it is the next one.
func (s *scanner) skip(token string) bool {
	before := s.rest
	if s.next() == token {
		return true
	}
	s.rest = before
	return false
}

func (s *scanner) message(end string, depth int) (string, error) {
	var names []string
	values := make(map[string][]string)
	for {
		name := s.next()
		switch name {
		case end:
			return printedMessage(names, values), nil
		case ",", ";":
			continue
		case "[": // an extension
			part := ""
			for part = s.next(); part != "]" && part != ""; part = s.next() {
				name += part
			}
			name += part
		}
		if name == "" || name[0] != '[' && strings.IndexByte(punctuation, name[0]) >= 0 {
			return "", errAggregate
		}
		s.skip(":")
		value, err := s.value(depth - 1)
		if err != nil {
			return "", err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		values[name] = append(values[name], value)
	}
}

func printedMessage(names []string, values map[string][]string) string {
	var lines []string
	for _, n := range names {
		value := values[n][0]
		if len(values[n]) > 1 {
			value = enclosed("[", values[n], "]")
		}
		lines = append(lines, n+": "+value)
	}
	return enclosed("{", lines, "}")
}

func enclosed(open string, lines []string, end string) string {
	if len(lines) == 0 {
		return open + "\n" + end
	}
	return open + "\n  " + strings.ReplaceAll(strings.Join(lines, ",\n"), "\n", "\n  ") + "\n" + end
}

func (s *scanner) value(depth int) (string, error) {
	token := s.next()
	switch {
	case token == "" || depth == 0:
		return "", errAggregate
	case token == "{":
		return s.message("}", depth)
	case token == "<":
		return s.message(">", depth)
	case token == "[":
		var list []string
		for !s.skip("]") {
			value, err := s.value(depth - 1)
			if err != nil {
				return "", err
			}
			list = append(list, value)
			s.skip(",")
		}
		return enclosed("[", list, "]"), nil
	case strings.IndexByte(punctuation, token[0]) >= 0:
		return "", errAggregate
	case token == "-":
		return token + s.next(), nil
	}
	return token, nil
}
