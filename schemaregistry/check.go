package schemaregistry

import "github.com/sluicehub/sluice/schemaregistry/access"

// compatible is the answer to a compatibility check; messages only if they were asked for.
type compatible struct {
	Is       bool      `json:"is_compatible"`
	Messages *[]string `json:"messages,omitempty"`
}

func (c *call) checkAll() (any, error) { return c.check(0) }

// checkOne compares with one version, whatever the level says about how many.
func (c *call) checkOne() (any, error) {
	number, err := parseVersion(c.path[4])
	if err != nil {
		return nil, err
	}
	return c.check(number)
}

// check compares the schema of the body with one version of the subject, or with those that its level names for
// number 0. What does not exist is compatible with everything, unless it was asked for by its number.
func (c *call) check(number int) (any, error) {
	name := shortest(c.path[2])
	var q request
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	if err := c.mayRefer(name, q.References); err != nil {
		return nil, err
	}
	var messages []string
	var err error
	c.view(func(st *state) { messages, err = c.compare(st, name, q, number) })
	if err != nil {
		return nil, err
	}
	answer := compatible{Is: len(messages) == 0}
	if c.flag("verbose") {
		messages = append([]string{}, messages...)
		answer.Messages = &messages
	}
	return answer, nil
}

func (c *call) compare(st *state, name string, q request, number int) ([]string, error) {
	opts := c.registry.opts
	config := st.configOf(name, opts.Level, opts.InheritLevel)
	versions := st.subjects[name].live(false)
	switch n := len(versions); {
	case number == latest && n > 0:
		versions = versions[n-1:]
	case number > 0:
		in, v, err := st.findAnywhere(name, number, false)
		if err != nil || !c.may(access.Read, in) {
			return nil, versionNotFound(number)
		}
		versions = []*version{v}
	}
	if q.Metadata == nil && len(versions) > 0 {
		q.Metadata = versions[len(versions)-1].schema.metadata
	}
	next, err := st.parse(q, name, c.flag("normalize") || isSet(config.Normalize), true)
	if err == nil && isSet(config.ValidateFields) {
		if reserved := next.checkFields(); reserved != nil {
			err = invalidSchema(reserved)
		}
	}
	if err != nil {
		if c.flag("verbose") {
			return []string{err.(*Error).Message}, nil
		}
		return nil, err
	}
	return st.verdict(config, next, versions), nil
}
