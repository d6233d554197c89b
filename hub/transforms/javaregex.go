package transforms

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// javaRegexp is a regular expression as users wrote it for Java. Go's RE2 knows most of that language with the same
// meaning; what it does not know (look-around, back references, possessive quantifiers, atomic groups) or reads
// differently (intersections and nested sets in a character class) is an error, never another meaning.
type javaRegexp struct {
	full *regexp.Regexp // matches the whole text
	find *regexp.Regexp // finds the first match
}

func compileJava(pattern string) (*javaRegexp, error) {
	if what := unsupported(pattern); what != "" {
		return nil, fmt.Errorf("regular expression %q uses %s, which is not supported here; write it without", pattern, what)
	}
	find, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	full, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	return &javaRegexp{full, find}, nil
}

// unsupported names the first thing in a pattern that RE2 lacks or reads differently.
func unsupported(pattern string) string {
	inClass := false
	for i := 0; i < len(pattern); i++ {
		rest := pattern[i:]
		switch {
		case strings.HasPrefix(rest, `\Q`):
			end := strings.Index(rest, `\E`)
			if end < 0 {
				return ""
			}
			i += end + 1
		case rest[0] == '\\' && len(rest) > 1:
			if c := rest[1]; !inClass && c >= '1' && c <= '9' || c == 'k' && strings.HasPrefix(rest[1:], "k<") {
				return "a back reference"
			}
			i++
			if end := strings.IndexByte(rest, '}'); len(rest) > 2 && rest[2] == '{' && end > 0 && strings.IndexByte("pPx", rest[1]) >= 0 {
				i += end - 1 // \p{L} and the like: the brace is no quantifier's
			}
		case inClass && strings.HasPrefix(rest, "&&"):
			return "an intersection of character classes (&&)"
		case inClass && rest[0] == '[':
			return `a set within a character class (for a bracket itself write \[)`
		case inClass:
			inClass = rest[0] != ']'
		case rest[0] == '[':
			inClass = true
		case strings.HasPrefix(rest, "(?=") || strings.HasPrefix(rest, "(?!"):
			return "look-ahead"
		case strings.HasPrefix(rest, "(?<=") || strings.HasPrefix(rest, "(?<!"):
			return "look-behind"
		case strings.HasPrefix(rest, "(?>"):
			return "an atomic group"
		case len(rest) > 1 && rest[1] == '+' && strings.IndexByte("*+?}", rest[0]) >= 0:
			return "a possessive quantifier"
		}
	}
	return ""
}

// matches reports whether the expression matches the whole text, as Java's Matcher.matches.
func (x *javaRegexp) matches(text string) bool { return x.full.MatchString(text) }

// javaReplacement is the replacement text of Java's Matcher: $1, ${name}, and a backslash before a literal character.
type javaReplacement struct {
	parts []replacementPart
}

type replacementPart struct {
	text  string
	group int // -1: the text
}

// replacement parses a replacement for x.
func (x *javaRegexp) replacement(text string) (javaReplacement, error) {
	var out javaReplacement
	literal := func(s string) { out.parts = append(out.parts, replacementPart{s, -1}) }
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			if i++; i == len(text) {
				return out, fmt.Errorf("replacement %q ends with a backslash", text)
			}
			literal(text[i : i+1])
		case text[i] != '$':
			literal(text[i : i+1])
		case strings.HasPrefix(text[i:], "${"):
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return out, fmt.Errorf("replacement %q has ${ without }", text)
			}
			group := x.find.SubexpIndex(text[i+2 : i+end])
			if group < 0 {
				return out, fmt.Errorf("replacement %q: the expression has no group %s", text, text[i+2:i+end])
			}
			out.parts = append(out.parts, replacementPart{group: group})
			i += end
		default:
			group, digits := x.groupAt(text[i+1:])
			if digits == 0 {
				return out, fmt.Errorf("replacement %q: no such group at %s", text, text[i:])
			}
			out.parts = append(out.parts, replacementPart{group: group})
			i += digits
		}
	}
	return out, nil
}

// groupAt reads a group's number: as many digits as there are groups for, as Java does.
func (x *javaRegexp) groupAt(text string) (group, digits int) {
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		n, err := strconv.Atoi(text[:digits+1])
		if err != nil || n > x.find.NumSubexp() {
			break
		}
		group = n
		digits++
	}
	return group, digits
}

// replaceFirst replaces the first match in the text, as Java's Matcher.replaceFirst: the leftmost one, which need not
// be the one that matches the whole text.
func (x *javaRegexp) replaceFirst(text string, with javaReplacement) string {
	at := x.find.FindStringSubmatchIndex(text)
	if at == nil {
		return text
	}
	var b strings.Builder
	b.WriteString(text[:at[0]])
	for _, p := range with.parts {
		switch {
		case p.group < 0:
			b.WriteString(p.text)
		case at[2*p.group] >= 0:
			b.WriteString(text[at[2*p.group]:at[2*p.group+1]])
		}
	}
	b.WriteString(text[at[1]:])
	return b.String()
}

// CheckRegexp says why a regular expression that was written for Java cannot be used here, or would mean something else.
func CheckRegexp(pattern string) error {
	_, err := compileJava(pattern)
	return err
}
