// Package configs is what the whole of Sluice knows about configuration: what keys there are (Definition), how their
// text becomes typed values (Parse), what is wrong with a configuration (Problem, Infos), how files and placeholders
// are read (Load, Resolver), and how secrets stay out of everything that is printed (Secret, Redactor).
//
// # A key is data
//
// A connector, a transform, a converter and the hub itself each declare their keys once, as a Definition. From it
// come parsing, validation, Connect's REST answers, "did you mean", the form of the web page and the reference pages.
// The parsing rules and the wording of errors are those of Kafka's ConfigDef, because people search for these texts.
//
//	var definition = &configs.Definition{
//		Keys: []configs.Key{
//			{Name: "topic.prefix", Type: configs.String, Required: true, Importance: configs.High,
//				Aliases: []string{"database.server.name"}, Doc: "First part of every topic name."},
//			{Name: "poll.interval.ms", Type: configs.Long, Default: "500", Min: "1", Unit: "ms",
//				Importance: configs.Medium, Doc: "How long to wait for more changes."},
//			{Name: "topic.creation.<group>.partitions", Type: configs.Int, Importance: configs.Low, Doc: "…"},
//		},
//		Rules: []configs.Rule{configs.AtMostOne("table.include.list", "table.exclude.list")},
//	}
//
//	values, problems := definition.Parse(config)
//	if err := configs.Err(problems); err != nil {
//		return err
//	}
//	prefix, poll := values.String("topic.prefix"), values.Duration("poll.interval.ms")
//
// A Definition is a value of a package that is not changed after it was written down; all its methods may be called
// from several goroutines at once.
package configs

import (
	"errors"
	"fmt"
	"regexp"
)

// Type is the type of a key's value, spelled as in Connect's REST API.
type Type string

// The types of Kafka's ConfigDef.
const (
	Boolean  Type = "BOOLEAN"
	String   Type = "STRING"
	Int      Type = "INT"   // 32 bits
	Short    Type = "SHORT" // 16 bits
	Long     Type = "LONG"  // 64 bits
	Double   Type = "DOUBLE"
	List     Type = "LIST" // separated by commas
	Class    Type = "CLASS"
	Password Type = "PASSWORD"
)

// Importance says how many users need to know a key, spelled as in Connect's REST API. The zero value is Low.
type Importance string

// The levels of importance.
const (
	High   Importance = "HIGH"
	Medium Importance = "MEDIUM"
	Low    Importance = "LOW"
)

// Width is a hint for the width of a form's field, spelled as in Connect's REST API. The zero value is WidthNone.
type Width string

// The widths of form fields.
const (
	WidthNone   Width = "NONE"
	WidthShort  Width = "SHORT"
	WidthMedium Width = "MEDIUM"
	WidthLong   Width = "LONG"
)

// Definition declares the keys that a connector (or a transform, a converter, the worker) understands, in the order
// in which they are shown, and the rules between them.
//
// As JSON a Definition is pure data: the functions in it (Key.Check, Key.Recommend, Rule.Check) are left out. So it
// can cross from a child process to the hub, which prints it, parses with it and names unknown keys; the checks that
// are functions run where the Definition was written, by Parse there.
type Definition struct {
	Keys  []Key  `json:"keys"`
	Rules []Rule `json:"rules,omitempty"`
}

// Key declares one key, or a family of keys.
//
// A Name with a part in angle brackets or with a star at its end stands for a family: "transforms.<name>.type",
// "snapshot.select.statement.overrides.<table>", "producer.override.*". A part in brackets stands for at least one
// character other than a dot, at the end of a name for at least one character of any kind; the star is the same as
// a part in brackets at the end. A key that is declared by its full name is never of a family, and among families
// the one with more literal text wins. Defaults of a family are given for any name that is asked for; Required has
// no meaning for it.
type Key struct {
	Name string `json:"name"`
	Type Type   `json:"type"`
	// Required says that the key must be given; Default is then unused.
	Required bool `json:"required,omitempty"`
	// Default is what an absent key means, written as in a file. "" is null: getters answer the zero value.
	Default string `json:"default,omitempty"`
	// DefaultEmpty tells a default of the empty text (or list) from null. Only Connect's REST answers show it.
	DefaultEmpty bool       `json:"default_empty,omitempty"`
	Importance   Importance `json:"importance,omitempty"`
	// Doc is one to three sentences in plain text or Markdown.
	Doc string `json:"doc,omitempty"`
	// Group is the heading in forms and reference pages: "Postgres", "Snapshots", "Errors".
	Group       string `json:"group,omitempty"`
	Width       Width  `json:"width,omitempty"`
	DisplayName string `json:"display_name,omitempty"` // Name, if empty
	// Dependents are the keys whose recommended values or visibility hang on this one.
	Dependents []string `json:"dependents,omitempty"`
	// Aliases are older or other spellings of the name. Their use is a warning that names the present one. They
	// have no meaning for a family.
	Aliases []string `json:"aliases,omitempty"`

	// Enum lists the allowed values of a String, or of the elements of a List. Upper and lower case are the same,
	// and getters answer the spelling of the Enum.
	Enum []string `json:"enum,omitempty"`
	// Min and Max bound a number, inclusively; written as in a file.
	Min string `json:"min,omitempty"`
	Max string `json:"max,omitempty"`
	// Unit is what a number counts: "ms", "s", "min", "h", "d" (for Values.Duration), "bytes", "rows", ….
	Unit string `json:"unit,omitempty"`
	// Step is the step of a form's field for a number.
	Step string `json:"step,omitempty"`
	// Pattern is a regular expression (RE2) that the whole value, or each element of a List, must match.
	Pattern string `json:"pattern,omitempty"`
	// Secret says that the value is never printed. A Password always is.
	Secret  bool   `json:"secret,omitempty"`
	Example string `json:"example,omitempty"`
	// Notice is a warning for who sets the key: that it has no effect here and why, or what replaces it.
	Notice string `json:"notice,omitempty"`
	// DependsOn says when the key matters: each condition must hold. A form hides it otherwise.
	DependsOn []Condition `json:"depends_on,omitempty"`

	// Check looks at one given or default value (trimmed text) beyond what the data above says. The error's text
	// says what is expected: "must be a host name". It does no I/O. It is not called for null.
	Check func(value string) error `json:"-"`
	// Recommend returns the values to offer, given the others. It does no I/O.
	Recommend func(v Values) []string `json:"-"`
}

// Condition holds if the key has one of the values (upper and lower case are the same).
type Condition struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// secret reports whether the key's value must never be printed.
func (k *Key) secret() bool { return k.Secret || k.Type == Password }

// hasDefault reports whether an absent key has a value other than null.
func (k *Key) hasDefault() bool { return !k.Required && (k.Default != "" || k.DefaultEmpty) }

// Concat returns a definition with the keys and rules of all, in order. A key that is declared twice keeps its first
// place and takes its last declaration, so that a connector can change a default of the hub's keys.
func Concat(defs ...*Definition) *Definition {
	out := &Definition{}
	at := map[string]int{}
	for _, d := range defs {
		if d == nil {
			continue
		}
		for _, k := range d.Keys {
			if i, ok := at[k.Name]; ok {
				out.Keys[i] = k
				continue
			}
			at[k.Name] = len(out.Keys)
			out.Keys = append(out.Keys, k)
		}
		out.Rules = append(out.Rules, d.Rules...)
	}
	return out
}

// WithPrefix returns the definition as it is when all its keys stand behind a prefix ("transforms.unwrap."). The
// group replaces the keys' own, if it is not empty. Checks, recommendations and rules keep seeing the names without
// the prefix.
func (d *Definition) WithPrefix(prefix, group string) *Definition {
	out := &Definition{Keys: make([]Key, len(d.Keys)), Rules: make([]Rule, len(d.Rules))}
	for i, k := range d.Keys {
		k.Name = prefix + k.Name
		k.Dependents = prefixed(prefix, k.Dependents)
		k.Aliases = prefixed(prefix, k.Aliases)
		if group != "" {
			k.Group = group
		}
		conditions := make([]Condition, len(k.DependsOn))
		for j, c := range k.DependsOn {
			conditions[j] = Condition{Key: prefix + c.Key, Values: c.Values}
		}
		k.DependsOn = conditions
		if recommend := k.Recommend; recommend != nil {
			k.Recommend = func(v Values) []string { return recommend(v.Sub(prefix)) }
		}
		out.Keys[i] = k
	}
	for i, r := range d.Rules {
		r.Keys = prefixed(prefix, r.Keys)
		if check := r.Check; check != nil {
			r.Check = func(v Values) []Problem {
				problems := check(v.Sub(prefix))
				for i := range problems {
					if problems[i].Key != "" {
						problems[i].Key = prefix + problems[i].Key
					}
				}
				return problems
			}
		}
		out.Rules[i] = r
	}
	return out
}

func prefixed(prefix string, names []string) []string {
	if names == nil {
		return nil
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + n
	}
	return out
}

// Verify reports every mistake in the definition itself: names declared twice, defaults and bounds that are not of
// the key's type, patterns that do not compile, references to keys that are not declared. It is meant for the tests
// of who declares it.
func (d *Definition) Verify() error {
	var errs []error
	seen := map[string]bool{}
	for i := range d.Keys {
		k := &d.Keys[i]
		for _, name := range append([]string{k.Name}, k.Aliases...) {
			if name == "" || seen[name] {
				errs = append(errs, fmt.Errorf("key %q: empty or declared twice", name))
			}
			seen[name] = true
		}
		errs = append(errs, k.verify()...)
	}
	declared := newIndex(d)
	refer := func(from, to string) {
		if declared.find(to) == nil {
			errs = append(errs, fmt.Errorf("%s refers to %s, which is not declared", from, to))
		}
	}
	for i := range d.Keys {
		for _, name := range d.Keys[i].Dependents {
			refer(d.Keys[i].Name, name)
		}
		for _, c := range d.Keys[i].DependsOn {
			refer(d.Keys[i].Name, c.Key)
		}
	}
	for _, r := range d.Rules {
		for _, name := range r.Keys {
			refer("a rule", name)
		}
	}
	return errors.Join(errs...)
}

func (k *Key) verify() []error {
	var errs []error
	bad := func(err error) { errs = append(errs, fmt.Errorf("key %s: %w", k.Name, err)) }
	switch k.Type {
	case Boolean, String, Int, Short, Long, Double, List, Class, Password:
	default:
		bad(fmt.Errorf("no such type: %q", k.Type))
	}
	if _, err := regexp.Compile(k.Pattern); err != nil {
		bad(err)
		return errs
	}
	if k.Required && (k.Default != "" || k.DefaultEmpty) {
		bad(errors.New("is required and has a default"))
	}
	for _, bound := range []string{k.Min, k.Max} {
		if bound == "" {
			continue
		}
		if !k.Type.number() {
			bad(errors.New("is bounded and not a number"))
		} else if _, msg := k.Type.parse(bound); msg != "" {
			bad(fmt.Errorf("bound %s: %s", bound, msg))
		}
	}
	if k.hasDefault() {
		if _, msgs := k.parse(k.Default); len(msgs) > 0 {
			bad(fmt.Errorf("default %q: %s", k.Default, msgs[0]))
		}
	}
	return errs
}
