package cdc

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// The keys that are about single columns. Those of values are in the order in which Debezium looks for the first one
// that names a column; source types are propagated of columns that none of them names.
const (
	truncateKey  = "column.truncate.to.<n>.chars"
	maskKey      = "column.mask.with.<n>.chars"
	hashKey      = "column.mask.hash.<algorithm>.with.salt.<salt>"
	hashV2Key    = "column.mask.hash.v2.<algorithm>.with.salt.<salt>"
	propagateKey = "column.propagate.source.type"
	datatypeKey  = "datatype.propagate.source.type"
)

// ColumnKeys declares the keys that ParseColumnRules reads. what says how a column is named: "schema.table.column".
func ColumnKeys(group, what string) []configs.Key {
	key := func(name, doc string) configs.Key {
		return configs.Key{Name: name, Type: configs.String, Importance: configs.Low, Group: group, Doc: doc,
			Check: func(list string) error { _, err := ParsePatterns(list); return err }}
	}
	columns := "Regular expressions of columns, written " + what + " and separated by commas, "
	return []configs.Key{
		key(truncateKey, columns+"whose texts and bytes are cut to so many characters. Keys keep the whole value."),
		key(maskKey, columns+"of character types whose values, null too, become so many asterisks. Keys keep the value."),
		key(hashKey, columns+"of character types whose values become a hash in hexadecimal, shortened to the column's length. "+
			"What is hashed is the value as Java serializes it, behind the salt. Keys keep the value."),
		key(hashV2Key, columns+"of character types whose values become a hash in hexadecimal, shortened to the column's length. "+
			"What is hashed is the value behind the salt. Keys keep the value."),
		key(propagateKey, columns+"whose type, length and scale in the database are added to the parameters of their schemas."),
		key(datatypeKey, "Regular expressions of types, written schema.table.type and separated by commas; for columns of them the same is done as for "+propagateKey+"."),
	}
}

// ColumnRules is what a configuration says of single columns. It is immutable.
type ColumnRules struct {
	values       []valueRule
	names, types Patterns
}

// valueRule is a key of the first kinds.
type valueRule struct {
	key     string
	rank    int // of its kind, as in the list of keys
	columns Patterns
	limit   int              // truncate: characters that stay
	mask    string           // what stands for every value
	digest  func() hash.Hash // hash
	salt    string
	java    bool // hash: of the value as Java serializes it
}

// ParseColumnRules reads the keys from a configuration as it was given. Its error names every key that is wrong.
func ParseColumnRules(config map[string]string) (ColumnRules, error) {
	var r ColumnRules
	var bad []error
	list := func(key string) Patterns {
		p, err := ParsePatterns(config[key])
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", key, err))
		}
		return p
	}
	r.names, r.types = list(propagateKey), list(datatypeKey)
	for key := range config {
		rule, ok, err := parseValueRule(key)
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", key, err))
		}
		if ok {
			rule.columns = list(key)
			r.values = append(r.values, rule)
		}
	}
	slices.SortFunc(r.values, func(a, b valueRule) int { return cmp.Or(a.rank-b.rank, strings.Compare(a.key, b.key)) })
	return r, errors.Join(bad...)
}

// ColumnRulesHold is the rule of a definition that the names of the keys make sense.
func ColumnRulesHold() configs.Rule {
	return configs.Check("names of column keys have a number or a hash algorithm in them", nil, func(v configs.Values) []configs.Problem {
		var out []configs.Problem
		for key := range v.Raw() {
			if _, _, err := parseValueRule(key); err != nil {
				out = append(out, configs.KeyError(key, "The name of the key "+err.Error()+"."))
			}
		}
		return out
	})
}

// parseValueRule reads the name of a key; ok is false if it is none of these.
func parseValueRule(key string) (r valueRule, ok bool, err error) {
	r.key = key
	between := func(before, after string) (string, bool) {
		text, found := strings.CutPrefix(key, before)
		if !found {
			return "", false
		}
		return strings.CutSuffix(text, after)
	}
	number := func(text string, least int) int {
		n, e := strconv.Atoi(text)
		if e != nil || n < least || n > 1<<20 {
			err = fmt.Errorf("must have a number from %d to %d in it, not %q", least, 1<<20, text)
		}
		return n
	}
	if text, is := between("column.truncate.to.", ".chars"); is {
		r.limit = number(text, 1)
		return r, err == nil, err
	}
	if text, is := between("column.mask.with.", ".chars"); is {
		r.rank = 1
		if n := number(text, 0); err == nil {
			r.mask = strings.Repeat("*", n)
		}
		return r, err == nil, err
	}
	text, is := strings.CutPrefix(key, "column.mask.hash.")
	if !is {
		return r, false, nil
	}
	r.rank, r.java = 2, true
	if v2, is := strings.CutPrefix(text, "v2."); is {
		text, r.rank, r.java = v2, 3, false
	}
	algorithm, salt, is := strings.Cut(text, ".with.salt.")
	if !is || salt == "" {
		return r, false, fmt.Errorf("must be %s or %s", hashKey, hashV2Key)
	}
	r.salt = salt
	if r.digest = digest(algorithm); r.digest == nil {
		return r, false, fmt.Errorf("must have one of the algorithms %s in it, not %q", digestNames, algorithm)
	}
	return r, true, nil
}

// Empty reports whether there is no rule at all.
func (r *ColumnRules) Empty() bool { return len(r.values)+len(r.names)+len(r.types) == 0 }

// ColumnFacts is what a rule must know of a column.
type ColumnFacts struct {
	Table, Column string // as the patterns name them: "schema.table"
	Type          string // the database's name of it
	Length        int    // in Debezium's sense: what the type says, math.MaxInt32 if it says nothing; -1 is not known
	Scale         int
	HasScale      bool
	Comment       string
	Characters    bool // it is of a character type: masks and hashes are for these only
}

// For returns what is done to a column, nil for nothing.
func (r *ColumnRules) For(f ColumnFacts) *ColumnRule {
	name := f.Table + "." + f.Column
	for i := range r.values {
		if v := &r.values[i]; v.columns.Match(name) {
			return v.forColumn(f)
		}
	}
	if r.names.Match(name) || r.types.Match(f.Table+"."+f.Type) {
		return &ColumnRule{Parameters: f.parameters()}
	}
	return nil
}

// parameters are the schema parameters that tell of the column's type in the database.
func (f *ColumnFacts) parameters() []connectors.Parameter {
	const name = "__debezium.source.column."
	out := []connectors.Parameter{{Name: name + "type", Value: strings.ToUpper(f.Type)}}
	if f.Length >= 0 {
		out = append(out, connectors.Parameter{Name: name + "length", Value: strconv.Itoa(f.Length)})
	}
	if f.HasScale {
		out = append(out, connectors.Parameter{Name: name + "scale", Value: strconv.Itoa(f.Scale)})
	}
	if f.Comment != "" {
		out = append(out, connectors.Parameter{Name: name + "comment", Value: f.Comment})
	}
	return append(out, connectors.Parameter{Name: name + "name", Value: f.Column})
}

func (v *valueRule) forColumn(f ColumnFacts) *ColumnRule {
	switch {
	case v.limit > 0 && f.Length >= 0 && f.Length <= v.limit:
		return nil // no value can be longer
	case v.limit > 0:
		return &ColumnRule{Parameters: []connectors.Parameter{{Name: "truncateLength", Value: strconv.Itoa(v.limit)}}, truncate: v.limit}
	}
	c := &ColumnRule{Parameters: []connectors.Parameter{{Name: "masked", Value: "true"}}}
	switch {
	case !f.Characters:
	case v.digest == nil:
		c.masked, c.mask = true, v.mask
	default:
		c.digest, c.salt, c.java, c.length = v.digest(), []byte(v.salt), v.java, f.Length
	}
	return c
}

// ColumnRule is what is done to one column of one table. It is used by one goroutine.
type ColumnRule struct {
	// Parameters are added to those of the column's schema.
	Parameters []connectors.Parameter

	truncate int
	masked   bool
	mask     string
	digest   hash.Hash
	salt     []byte
	java     bool
	length   int // of the column
	scratch  []byte
}

// ChangesValues reports whether values of the schema are not left as they are.
func (c *ColumnRule) ChangesValues(s *connectors.Schema) bool {
	switch s.Type {
	case connectors.String:
		return c.truncate > 0 || c.masked || c.digest != nil
	case connectors.Bytes: // a named one is a number or a bit string
		return c.truncate > 0 && s.Name == ""
	}
	return false
}

// MasksNull reports whether null is replaced too.
func (c *ColumnRule) MasksNull() bool { return c.masked }

// AppendMask appends what stands for null, as an encoded String.
func (c *ColumnRule) AppendMask(dst []byte) []byte { return connectors.AppendString(dst, c.mask) }

// Rewrite replaces the String or Bytes value that was encoded at dst[at:], to the end of dst, by what the rule makes
// of it. s is the value's schema.
func (c *ColumnRule) Rewrite(dst []byte, at int, s *connectors.Schema) []byte {
	_, n := binary.Varint(dst[at:])
	c.scratch = c.Apply(c.scratch[:0], dst[at+n:], s)
	return connectors.AppendBytes(dst[:at], c.scratch)
}

// Apply appends what the rule makes of a value of the schema, without a length before it.
func (c *ColumnRule) Apply(dst, value []byte, s *connectors.Schema) []byte {
	switch {
	case c.masked:
		return append(dst, c.mask...)
	case c.digest != nil:
		at := len(dst)
		c.digest.Reset()
		c.digest.Write(c.salt)
		if c.java {
			dst = appendJavaString(dst, value)
			c.digest.Write(dst[at:])
		} else {
			c.digest.Write(value)
		}
		var sum [64]byte
		dst = hex.AppendEncode(dst[:at], c.digest.Sum(sum[:0]))
		if c.length > 0 {
			dst = dst[:min(len(dst), at+c.length)]
		}
		return dst
	case c.truncate > 0 && s.Type == connectors.String:
		return append(dst, cutCharacters(value, c.truncate)...)
	case c.truncate > 0:
		return append(dst, value[:min(len(value), c.truncate)]...)
	}
	return append(dst, value...)
}

// cutCharacters returns the first n characters as Java counts them: those beyond the basic plane are two. One of them
// is never cut in half.
func cutCharacters(text []byte, n int) []byte {
	if len(text) <= n {
		return text
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r > 0xffff {
			n--
		}
		if n--; n < 0 {
			return text[:i]
		}
		i += size
	}
	return text
}
