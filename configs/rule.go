package configs

import (
	"strings"
)

// RuleKind names the rules that are pure data.
type RuleKind string

// The kinds of rules.
const (
	// RuleAtMostOne: of the keys, at most one may be given.
	RuleAtMostOne RuleKind = "at_most_one"
	// RuleExactlyOne: of the keys, one and only one must be given (with a value that is not empty).
	RuleExactlyOne RuleKind = "exactly_one"
	// RuleRequires: if the first key is given, all others must be.
	RuleRequires RuleKind = "requires"
	// RuleCheck: what Rule.Check says.
	RuleCheck RuleKind = "check"
)

// Rule is a condition between keys.
type Rule struct {
	Kind RuleKind `json:"kind"`
	// Keys are the keys that the rule looks at. It is not applied while one of them has an error of its own.
	Keys []string `json:"keys"`
	// Doc says the rule in one sentence, for reference pages; the kinds that are pure data need none.
	Doc string `json:"doc,omitempty"`
	// Check returns what is wrong. It does no I/O. Only a rule of the kind RuleCheck has it; it is lost in JSON.
	Check func(v Values) []Problem `json:"-"`
}

// AtMostOne returns the rule that at most one of the keys is given.
func AtMostOne(keys ...string) Rule { return Rule{Kind: RuleAtMostOne, Keys: keys} }

// ExactlyOne returns the rule that one and only one of the keys is given.
func ExactlyOne(keys ...string) Rule { return Rule{Kind: RuleExactlyOne, Keys: keys} }

// Requires returns the rule that all others are given if the first key is.
func Requires(key string, others ...string) Rule {
	return Rule{Kind: RuleRequires, Keys: append([]string{key}, others...)}
}

// Check returns a rule that is a function over the named keys.
func Check(doc string, keys []string, check func(v Values) []Problem) Rule {
	return Rule{Kind: RuleCheck, Keys: keys, Doc: doc, Check: check}
}

// apply returns what is wrong by the rule.
func (r *Rule) apply(v Values) []Problem {
	var given []string
	for _, key := range r.Keys {
		if v.Has(key) && strings.TrimSpace(v.given[key]) != "" {
			given = append(given, key)
		}
	}
	names := strings.Join(r.Keys, ", ")
	switch r.Kind {
	case RuleAtMostOne, RuleExactlyOne:
		if len(given) > 1 {
			var problems []Problem
			for _, key := range given {
				problems = append(problems, Problem{Key: key, Message: "Only one of " + names + " can be given."})
			}
			return problems
		}
		if r.Kind == RuleExactlyOne && len(given) == 0 && len(r.Keys) > 0 {
			return []Problem{{Key: r.Keys[0], Message: "One of " + names + " must be given."}}
		}
	case RuleRequires:
		if len(given) == 0 || given[0] != r.Keys[0] {
			return nil
		}
		var problems []Problem
		for _, key := range r.Keys[1:] {
			if !v.Has(key) {
				problems = append(problems, Problem{Key: key, Message: r.Keys[0] + " needs " + key + ", which is missing."})
			}
		}
		return problems
	case RuleCheck:
		if r.Check != nil {
			return r.Check(v)
		}
	}
	return nil
}
