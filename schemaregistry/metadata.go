package schemaregistry

import (
	"encoding/json"
	"errors"
	"fmt"
	hashes "hash"
	"maps"
	"slices"
	"strconv"
	"unicode"
)

// metadata is what is said about a schema beside its text. It is part of its identity.
type metadata struct {
	Tags       map[string][]string `json:"tags,omitempty"` // by path; sets
	Properties map[string]string   `json:"properties,omitempty"`
	Sensitive  []string            `json:"sensitive,omitempty"` // names of properties; a set
}

// UnmarshalJSON reads it with its sets in order.
func (m *metadata) UnmarshalJSON(b []byte) error {
	type plain metadata
	if err := json.Unmarshal(b, (*plain)(m)); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	for path, tags := range m.Tags {
		if tags == nil {
			delete(m.Tags, path)
			continue
		}
		m.Tags[path] = set(tags)
	}
	m.Sensitive = set(m.Sensitive)
	return nil
}

func set(list []string) []string {
	if list == nil {
		return nil
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// merged returns what under says, and where both say something, what over says.
func (under *metadata) merged(over *metadata) *metadata {
	if under == nil {
		return over
	}
	if over == nil {
		return under
	}
	return &metadata{
		Tags:       mergedMaps(under.Tags, over.Tags),
		Properties: mergedMaps(under.Properties, over.Properties),
		Sensitive:  set(append(slices.Clone(under.Sensitive), over.Sensitive...)),
	}
}

func mergedMaps[V any](under, over map[string]V) map[string]V {
	if len(over) == 0 {
		return under
	}
	m := maps.Clone(under)
	if m == nil {
		m = make(map[string]V)
	}
	maps.Copy(m, over)
	return m
}

func (m *metadata) property(name string) (value string, ok bool) {
	if m == nil {
		return "", false
	}
	value, ok = m.Properties[name]
	return value, ok
}

// versionProperty is the property of the metadata that Confluent's registry keeps the number of a version in, once one
// was asked for. It counts as part of the identity, but what does not name it finds what has it.
const versionProperty = "confluent:version"

// versionNumber returns the number that the metadata names.
func (m *metadata) versionNumber() (number int, ok bool) {
	text, _ := m.property(versionProperty)
	number, err := strconv.Atoi(text)
	return number, err == nil
}

// withVersion returns metadata that names the number of a version.
func (m *metadata) withVersion(number int) *metadata {
	return m.merged(&metadata{Properties: map[string]string{versionProperty: strconv.Itoa(number)}})
}

// withoutVersion returns metadata that names none.
func (m *metadata) withoutVersion() *metadata {
	if m == nil {
		return &metadata{}
	}
	c := *m
	c.Properties = maps.Clone(m.Properties)
	delete(c.Properties, versionProperty)
	return &c
}

func (m *metadata) hash(h hashes.Hash) {
	if m == nil {
		return
	}
	h.Write([]byte{1})
	for _, path := range slices.Sorted(maps.Keys(m.Tags)) {
		writeAll(h, path)
		writeAll(h, m.Tags[path]...)
	}
	hashMap(h, m.Properties)
	writeAll(h, m.Sensitive...)
}

func hashMap(h hashes.Hash, m map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		writeAll(h, name, m[name])
	}
}

func writeAll(h hashes.Hash, texts ...string) {
	for _, t := range texts {
		h.Write([]byte(t))
	}
}

// ruleSet are the data contract rules of a schema. They are kept and handed to clients, who execute them; the registry
// does not.
type ruleSet struct {
	Migration []rule `json:"migrationRules,omitempty"`
	Domain    []rule `json:"domainRules,omitempty"`
	Encoding  []rule `json:"encodingRules,omitempty"`
	EnableAt  string `json:"enableAt,omitempty"`
}

type rule struct {
	Name      string            `json:"name,omitempty"`
	Doc       string            `json:"doc,omitempty"`
	Kind      string            `json:"kind,omitempty"`
	Mode      string            `json:"mode,omitempty"`
	Type      string            `json:"type,omitempty"`
	Tags      []string          `json:"tags,omitempty"`
	Params    map[string]string `json:"params,omitempty"`
	Expr      string            `json:"expr,omitempty"`
	OnSuccess string            `json:"onSuccess,omitempty"`
	OnFailure string            `json:"onFailure,omitempty"`
	Disabled  bool              `json:"disabled"`
}

// UnmarshalJSON reads a rule with the defaults that count in its hash.
func (r *rule) UnmarshalJSON(b []byte) error {
	type plain rule
	if err := json.Unmarshal(b, (*plain)(r)); err != nil {
		return fmt.Errorf("rule: %w", err)
	}
	if r.Kind == "" {
		r.Kind = "TRANSFORM"
	}
	if r.Mode == "" {
		r.Mode = "WRITEREAD"
	}
	r.Tags = set(r.Tags)
	return nil
}

func (s *ruleSet) hash(h hashes.Hash) {
	if s == nil {
		return
	}
	h.Write([]byte{1})
	for _, rules := range [...][]rule{s.Migration, s.Domain, s.Encoding} {
		for _, r := range rules {
			writeAll(h, r.Name, r.Doc, r.Kind, r.Mode, r.Type)
			writeAll(h, r.Tags...)
			hashMap(h, r.Params)
			writeAll(h, r.Expr, r.OnSuccess, r.OnFailure)
			if r.Disabled {
				h.Write([]byte{1})
			}
		}
	}
}

// merged returns the rules of both, those of over instead of others of the same name.
func (under *ruleSet) merged(over *ruleSet) *ruleSet {
	if under == nil {
		return over
	}
	if over == nil {
		return under
	}
	m := &ruleSet{mergedRules(under.Migration, over.Migration), mergedRules(under.Domain, over.Domain),
		mergedRules(under.Encoding, over.Encoding), under.EnableAt}
	if over.EnableAt != "" {
		m.EnableAt = over.EnableAt
	}
	return m
}

func mergedRules(under, over []rule) []rule {
	kept := slices.DeleteFunc(slices.Clone(under), func(u rule) bool {
		return slices.ContainsFunc(over, func(o rule) bool { return o.Name == u.Name })
	})
	return append(kept, over...)
}

// has reports whether there is a rule of that type.
func (s *ruleSet) has(kind string) bool {
	if s == nil {
		return false
	}
	return slices.ContainsFunc(slices.Concat(s.Migration, s.Domain, s.Encoding), func(r rule) bool { return r.Type == kind })
}

// check refuses rules that no client could execute.
func (s *ruleSet) check() error {
	if s == nil {
		return nil
	}
	for _, group := range []struct {
		of    string
		rules []rule
		modes []string
	}{
		{"migration", s.Migration, []string{"UPGRADE", "DOWNGRADE", "UPDOWN"}},
		{"domain", s.Domain, []string{"WRITE", "READ", "WRITEREAD"}},
		{"encoding", s.Encoding, []string{"WRITE", "READ", "WRITEREAD"}},
	} {
		seen := make(map[string]bool)
		for _, r := range group.rules {
			if err := r.check(group.modes); err != nil {
				return fmt.Errorf("%s rule %q: %w", group.of, r.Name, err)
			}
			if seen[r.Name] {
				return fmt.Errorf("two %s rules are called %q", group.of, r.Name)
			}
			seen[r.Name] = true
		}
	}
	return nil
}

func (r *rule) check(modes []string) error {
	if r.Name == "" {
		return errors.New("it has no name")
	}
	for i, c := range r.Name {
		if c != '_' && !unicode.IsLetter(c) && (i == 0 || !unicode.IsDigit(c)) {
			return errors.New("the name must consist of letters, digits and _, and not begin with a digit")
		}
	}
	if r.Type == "" {
		return errors.New("it has no type")
	}
	if r.Kind != "TRANSFORM" && r.Kind != "CONDITION" {
		return fmt.Errorf("the kind %q is neither TRANSFORM nor CONDITION", r.Kind)
	}
	if !slices.Contains(modes, r.Mode) {
		return fmt.Errorf("the mode %q is none of %v", r.Mode, modes)
	}
	return nil
}
