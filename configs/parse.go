package configs

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Parse turns a configuration (placeholders resolved) into typed values, and returns every problem there is at once:
// errors in the order of the definition, then rules, then warnings about unknown keys in alphabetical order. With
// problems that are errors, the values are still usable for what parsed.
//
// Keys that another definition owns are unknown here: a connector that parses the whole configuration gets warnings
// for the hub's keys, which Err leaves out.
func (d *Definition) Parse(raw map[string]string) (Values, []Problem) {
	x := newIndex(d)
	v := Values{index: x, given: map[string]string{}, raw: raw, parsed: map[string]any{}}
	unknown, notices := x.assign(raw, v.given)

	var problems []Problem
	failed := map[string]bool{}
	for _, name := range x.names(v.given) {
		value, found := x.value(name, v.given)
		v.parsed[name] = value
		failed[name] = len(found) > 0
		problems = append(problems, found...)
	}
	for i := range d.Rules {
		r := &d.Rules[i]
		if slices.ContainsFunc(r.Keys, func(key string) bool { return failed[key] }) {
			continue
		}
		for _, p := range r.apply(v) {
			problems = append(problems, x.complete(p, v.given))
		}
	}
	return v, append(append(problems, notices...), unknown...)
}

// complete fills what a rule left out of a problem.
func (x *index) complete(p Problem, given map[string]string) Problem {
	if p.Severity == "" {
		p.Severity = Error
	}
	if k := x.find(p.Key); k != nil && p.Value == "" {
		p.Value = k.shown(given[p.Key])
	}
	return p
}

// assign puts each given value under its declared name, and returns warnings about unknown keys and about the use
// of aliases and keys with a notice.
func (x *index) assign(raw, given map[string]string) (unknown, notices []Problem) {
	for _, name := range sortedKeys(raw) {
		if k := x.find(name); k != nil {
			given[name] = raw[name]
			if k.Notice != "" {
				notices = append(notices, Problem{Key: name, Value: k.shown(raw[name]), Severity: Warning, Message: k.Notice})
			}
			continue
		}
		k := x.alias[name]
		if k == nil {
			unknown = append(unknown, x.unknown(name, len(unknown) < maxSuggestions))
			continue
		}
		p := Problem{Key: name, Value: k.shown(raw[name]), Severity: Warning, Near: k.Name,
			Message: name + " is understood as " + k.Name + ", its name here."}
		if _, both := raw[k.Name]; both {
			p.Message = name + " is another name of " + k.Name + ", which is given too and is the one that counts."
		} else if _, taken := given[k.Name]; !taken {
			given[k.Name] = raw[name]
		}
		notices = append(notices, p)
	}
	return unknown, notices
}

// maxSuggestions bounds the search for nearest names, which a stranger's request could make long.
const maxSuggestions = 100

// unknown returns the warning about a key that is not declared. Its value is not shown: nobody knows what it is.
func (x *index) unknown(name string, suggest bool) Problem {
	p := Problem{Key: name, Severity: Warning, Message: "Unknown configuration \"" + name + "\" is ignored."}
	if !suggest {
		return p
	}
	if p.Near = x.nearest(name); p.Near != "" {
		p.Message = "Unknown configuration \"" + name + "\" is ignored; did you mean \"" + p.Near + "\"?"
	}
	return p
}

// names returns every name that has a value or needs one: the declared keys in order, and in place of each family
// the names given of it.
func (x *index) names(given map[string]string) []string {
	members := map[*Key][]string{}
	for _, name := range sortedKeys(given) {
		if x.exact[name] == nil {
			k := x.find(name)
			members[k] = append(members[k], name)
		}
	}
	var names []string
	for i := range x.def.Keys {
		k := &x.def.Keys[i]
		if isFamily(k.Name) {
			names = append(names, members[k]...)
		} else if x.exact[k.Name] == k {
			names = append(names, k.Name)
		}
	}
	return names
}

// value returns the typed value of a name with what is wrong; nil if it could not be parsed.
func (x *index) value(name string, given map[string]string) (any, []Problem) {
	k := x.find(name)
	text, ok := given[name]
	if !ok {
		if k.Required {
			return nil, []Problem{{Key: name, Severity: Error,
				Message: "Missing required configuration \"" + name + "\" which has no default value."}}
		}
		if !k.hasDefault() {
			return nil, nil
		}
		text = k.Default
	}
	value, messages := k.parse(text)
	if k.Required && len(messages) == 0 && strings.TrimSpace(text) == "" {
		messages = []string{"String must be non-empty"}
	}
	if len(messages) == 0 {
		return value, nil
	}
	shown := k.shown(text)
	problems := make([]Problem, len(messages))
	for i, m := range messages {
		if k.secret() && strings.TrimSpace(text) != "" {
			m = strings.ReplaceAll(m, strings.TrimSpace(text), HiddenValue)
		}
		problems[i] = Problem{Key: name, Value: shown, Severity: Error, Near: k.nearestValue(text),
			Message: "Invalid value " + shown + " for configuration " + name + ": " + m}
	}
	return value, problems
}

// shown returns a value as it may be printed.
func (k *Key) shown(value string) string {
	if k.secret() && value != "" {
		return HiddenValue
	}
	return value
}

// nearestValue returns the allowed value that a misspelt one was probably meant to be, or "".
func (k *Key) nearestValue(text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	best, bestDistance := "", cutoff(text)+1
	for _, e := range k.Enum {
		if d := distance(text, strings.ToLower(e), bestDistance); d < bestDistance {
			best, bestDistance = e, d
		}
	}
	return best
}

// parse returns the typed value of a text (nil if it is not of the type) and all that is wrong with it, in the words
// of Kafka's ConfigDef and its validators.
func (k *Key) parse(text string) (any, []string) {
	value, message := k.Type.parse(text)
	if message != "" {
		return nil, []string{message}
	}
	var messages []string
	if m := k.checkRange(value); m != "" {
		messages = append(messages, m)
	}
	value, more := k.checkTexts(value)
	messages = append(messages, more...)
	if k.Check != nil && len(messages) == 0 {
		if err := k.Check(strings.TrimSpace(text)); err != nil {
			messages = append(messages, err.Error())
		}
	}
	return value, messages
}

// parse follows ConfigDef.parseType: surrounding blanks never count, booleans are of either case, lists are split
// at commas with the blanks around them.
func (t Type) parse(text string) (value any, message string) {
	trimmed := strings.TrimFunc(text, func(r rune) bool { return r <= ' ' }) // String.trim of Java
	switch t {
	case Boolean:
		switch {
		case strings.EqualFold(trimmed, "true"):
			return true, ""
		case strings.EqualFold(trimmed, "false"):
			return false, ""
		}
		return nil, "Expected value to be either true or false"
	case Int, Short, Long:
		bits := map[Type]int{Int: 32, Short: 16, Long: 64}[t]
		i, err := strconv.ParseInt(trimmed, 10, bits)
		if err != nil {
			return nil, "Not a number of type " + string(t)
		}
		return i, ""
	case Double:
		f, err := parseDouble(trimmed)
		if err != nil {
			return nil, "Not a number of type " + string(t)
		}
		return f, ""
	case List:
		if trimmed == "" {
			return []string(nil), ""
		}
		list := strings.Split(trimmed, ",")
		for i := range list {
			list[i] = strings.Trim(list[i], " \t\n\v\f\r") // \s of Java
		}
		return list, ""
	}
	return trimmed, ""
}

// parseDouble takes what Java's Double.parseDouble takes, hexadecimal forms excepted.
func parseDouble(s string) (float64, error) {
	switch s {
	case "NaN", "+NaN", "-NaN":
		return math.NaN(), nil
	case "Infinity", "+Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	if n := len(s); n > 1 && strings.ContainsRune("dDfF", rune(s[n-1])) {
		s = s[:n-1]
	}
	if strings.ContainsAny(s, "_xXnNiI") {
		return 0, strconv.ErrSyntax
	}
	f, err := strconv.ParseFloat(s, 64)
	if errors.Is(err, strconv.ErrRange) {
		return f, nil // Java rounds to infinity or zero
	}
	return f, err
}

// number reports whether values of the type can be bounded.
func (t Type) number() bool { return t == Int || t == Short || t == Long || t == Double }

func (k *Key) checkRange(value any) string {
	if k.Min != "" {
		if low, _ := k.Type.parse(k.Min); less(value, low) {
			return "Value must be at least " + k.printPlain(low)
		}
	}
	if k.Max != "" {
		if high, _ := k.Type.parse(k.Max); less(high, value) {
			return "Value must be no more than " + k.printPlain(high)
		}
	}
	return ""
}

func less(a, b any) bool {
	switch a := a.(type) {
	case int64:
		b, ok := b.(int64)
		return ok && a < b
	case float64:
		b, ok := b.(float64)
		return ok && a < b
	}
	return false
}

// checkTexts checks a text, or each element of a list, against Enum and Pattern, and returns the value with the
// Enum's spelling.
func (k *Key) checkTexts(value any) (any, []string) {
	if len(k.Enum) == 0 && k.Pattern == "" {
		return value, nil
	}
	switch v := value.(type) {
	case string:
		s, message := k.checkText(v)
		if message != "" {
			return v, []string{message}
		}
		return s, nil
	case []string:
		var messages []string
		out := make([]string, len(v))
		for i := range v {
			s, message := k.checkText(v[i])
			if message != "" && !slices.Contains(messages, message) {
				messages = append(messages, message)
			}
			if out[i] = s; message != "" {
				out[i] = v[i]
			}
		}
		return out, messages
	}
	return value, nil
}

func (k *Key) checkText(text string) (string, string) {
	if k.Pattern != "" {
		re, err := regexp.Compile("^(?:" + k.Pattern + ")$")
		if err != nil || !re.MatchString(text) {
			return "", fmt.Sprintf("Value must match the regular expression %s", k.Pattern)
		}
	}
	if len(k.Enum) == 0 {
		return text, ""
	}
	for _, e := range k.Enum {
		if strings.EqualFold(e, text) {
			return e, ""
		}
	}
	return "", "String must be one of: " + strings.Join(k.Enum, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
