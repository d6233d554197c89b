package consumergroup

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// regexPause is the least time between two resolutions for topics that came or went.
const regexPause = time.Second

// resolved are the topics that a regular expression matches. It is never changed in place.
type resolved struct {
	topics []string // in order
	at     time.Time
}

// compile reads an expression, which is of RE2's syntax as Go's are, and matches whole names.
func compile(regex string) (*regexp.Regexp, error) {
	if _, err := syntax.Parse(regex, syntax.Perl); err != nil { // by itself: a bracket too many must not close ours
		return nil, fmt.Errorf("%w: %w", kerr.InvalidRegularExpression, err)
	}
	re, err := regexp.Compile(`\A(?:` + regex + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kerr.InvalidRegularExpression, err)
	}
	return re, nil
}

// uses tells whether somebody subscribes to a regular expression.
func (g *Group) uses(regex string) bool {
	for _, m := range g.members {
		if m.regex == regex {
			return true
		}
	}
	return false
}

// resolve finds the topics of the regular expressions in use, if that is due, and tells whether they changed. A new
// expression is resolved at once, topics that came or went are noticed at most every regexPause.
func (g *Group) resolve(was, m *member, from Client, cfg Config, topics Topics, now time.Time) (changed bool, err error) {
	if was.regex != m.regex && was.regex != "" && !g.uses(was.regex) {
		g.do(resolvedTo{was.regex, nil})
	}
	due := g.regexTopics != topics.Version() && now.Sub(g.regexUpdated) >= regexPause || now.Sub(g.regexUpdated) >= cfg.RegexRefresh
	if m.regex != "" && g.resolved[m.regex] == nil {
		if _, err := compile(m.regex); err != nil {
			return false, err
		}
		due = true
	}
	inUse := make(map[string]bool)
	for _, o := range g.members {
		if o.regex != "" {
			inUse[o.regex] = true
		}
	}
	if !due || len(inUse) == 0 {
		return false, nil
	}
	version := topics.Version()
	for regex := range inUse {
		re, err := compile(regex)
		if err != nil {
			return false, err
		}
		var match []string
		for _, name := range topics.Names() {
			if re.MatchString(name) && from.MayDescribe(name) {
				match = append(match, name)
			}
		}
		slices.Sort(match)
		if have := g.resolved[regex]; have == nil || !slices.Equal(have.topics, match) {
			changed = changed || have != nil || len(match) > 0
			g.do(resolvedTo{regex, &resolved{match, now}})
		}
	}
	g.regexTopics, g.regexUpdated = version, now
	return changed, nil
}
