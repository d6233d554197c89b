package configs

import (
	"fmt"
	"maps"
	"math"
	"strings"
	"time"
)

// Values are the typed values of a configuration, as Parse returns them. The getters answer the given value or else
// the default; null (and a value that could not be parsed) is the zero value. They panic if the key is not declared
// in the Definition or has another type: that is a mistake in the program, not in the configuration.
//
// Values are immutable and may be shared between goroutines. They hold secrets: do not print Raw or Prefixed.
type Values struct {
	index  *index
	prefix string
	given  map[string]string // by full declared name, aliases resolved
	raw    map[string]string // as given
	parsed map[string]any    // by full name: bool, int64, float64, string, []string; nil for null
}

// lookup returns the value of a key and its declaration, after checking that it is of one of the types.
func (v Values) lookup(key string, types ...Type) (any, *Key) {
	name := v.prefix + key
	if v.index == nil {
		panic("configs: key " + name + " was asked of Values that no Definition made")
	}
	k := v.index.find(name)
	if k == nil {
		panic("configs: key " + name + " is not declared")
	}
	ok := len(types) == 0
	for _, t := range types {
		ok = ok || k.Type == t
	}
	if !ok {
		panic(fmt.Sprintf("configs: key %s has type %s, asked for %s", name, k.Type, types[0]))
	}
	if value, ok := v.parsed[name]; ok {
		return value, k
	}
	if k.hasDefault() { // of a family
		value, _ := k.parse(k.Default)
		return value, k
	}
	return nil, k
}

// String returns the trimmed text of a String, Class or (its elements joined) List. A key declared Secret gives its
// text too, a Password only by Password.
func (v Values) String(key string) string {
	value, _ := v.lookup(key, String, Class, List)
	if list, ok := value.([]string); ok {
		return strings.Join(list, ",")
	}
	s, _ := value.(string)
	return s
}

// Int returns an Int or Short.
func (v Values) Int(key string) int {
	value, _ := v.lookup(key, Int, Short)
	i, _ := value.(int64)
	return int(i)
}

// Long returns a Long, Int or Short.
func (v Values) Long(key string) int64 {
	value, _ := v.lookup(key, Long, Int, Short)
	i, _ := value.(int64)
	return i
}

// Float returns a Double.
func (v Values) Float(key string) float64 {
	value, _ := v.lookup(key, Double)
	f, _ := value.(float64)
	return f
}

// Bool returns a Boolean.
func (v Values) Bool(key string) bool {
	value, _ := v.lookup(key, Boolean)
	b, _ := value.(bool)
	return b
}

// List returns the elements of a List, trimmed; nil if it is empty.
func (v Values) List(key string) []string {
	value, _ := v.lookup(key, List)
	list, _ := value.([]string)
	return append([]string(nil), list...)
}

// Duration returns a number as a time span. The key's Unit says what it counts, or else the end of its name (".ms",
// ".seconds", ".minutes", ".hours", ".days"). A span too long for a Duration is the longest one; a negative number
// gives a negative span, whose meaning ("forever", "off") is the key's own.
func (v Values) Duration(key string) time.Duration {
	value, k := v.lookup(key, Long, Int, Short)
	i, _ := value.(int64)
	unit := k.unit()
	if unit == 0 {
		panic("configs: key " + v.prefix + key + " has no unit of time")
	}
	switch {
	case i > math.MaxInt64/int64(unit):
		return math.MaxInt64
	case i < math.MinInt64/int64(unit):
		return math.MinInt64
	}
	return time.Duration(i) * unit
}

// unit returns the unit of time that the key counts, or 0.
func (k *Key) unit() time.Duration {
	unit := k.Unit
	if unit == "" {
		unit = k.Name[strings.LastIndexByte(k.Name, '.')+1:]
	}
	switch unit {
	case "ns", "nanos":
		return time.Nanosecond
	case "us", "micros":
		return time.Microsecond
	case "ms":
		return time.Millisecond
	case "s", "sec", "secs", "seconds":
		return time.Second
	case "min", "minutes":
		return time.Minute
	case "h", "hours":
		return time.Hour
	case "d", "days":
		return 24 * time.Hour
	}
	return 0
}

// Password returns the value of a Password, or of a String declared Secret.
func (v Values) Password(key string) Secret {
	value, _ := v.lookup(key, Password, String)
	s, _ := value.(string)
	return NewSecret(s)
}

// Has reports whether the key was given in the configuration, under its name or an alias, even if it is empty.
func (v Values) Has(key string) bool {
	v.lookup(key)
	_, ok := v.given[v.prefix+key]
	return ok
}

// Raw returns a copy of the configuration as it was given. It holds secrets.
func (v Values) Raw() map[string]string { return maps.Clone(v.raw) }

// Prefixed returns what was given under keys that start with the prefix, as given, the prefix removed. It holds
// secrets. The keys need not be declared.
func (v Values) Prefixed(prefix string) map[string]string {
	out := map[string]string{}
	for key, value := range v.raw {
		if rest, ok := strings.CutPrefix(key, v.prefix+prefix); ok && rest != "" {
			out[rest] = value
		}
	}
	return out
}

// Format keeps secrets out of what is printed by mistake.
func (v Values) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "configs.Values(%d given)", len(v.raw)) }

// Sub returns the same values seen from behind a prefix: Sub("transforms.unwrap.").String("type") is
// String("transforms.unwrap.type").
func (v Values) Sub(prefix string) Values {
	v.prefix += prefix
	return v
}
