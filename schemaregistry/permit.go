package schemaregistry

import (
	"slices"

	"github.com/sluicehub/sluice/schemaregistry/access"
)

// named returns the subject or context in the call's path, "" if it has none.
func (c *call) named() string {
	if len(c.path) == 0 {
		return ""
	}
	if at, _ := nameAt(c.path); at < len(c.path) {
		return shortest(c.path[at])
	}
	return ""
}

// may reports whether the caller may do that with the subject or context. (Its name in full: the default context's is "".)
func (c *call) may(op access.Operation, name string) bool {
	return c.registry.opts.Access.Allows(c.who, op, name)
}

func (c *call) need(op access.Operation, name string) error {
	if c.may(op, name) {
		return nil
	}
	return forbidden(c.who, op, name)
}

// readable returns a test for the subjects that the caller may read.
func (c *call) readable() func(name string) bool {
	if c.registry.opts.Access.AllowsAll(c.who, access.Read) {
		return func(string) bool { return true }
	}
	return func(name string) bool { return c.may(access.Read, name) }
}

// mayReadSchema reports whether the caller may read a subject that has the schema. What may not be read is answered as
// if it were not there, so that ids tell nothing.
func (c *call) mayReadSchema(st *state, of *schema) bool {
	if c.registry.opts.Access.AllowsAll(c.who, access.Read) {
		return true
	}
	for name, sub := range st.subjects {
		if contextOf(name) == of.context && sub.versionOf(of) != nil && c.may(access.Read, name) {
			return true
		}
	}
	return false
}

// mayRefer refuses references to what the caller may not read: a schema in full shows what it refers to.
func (c *call) mayRefer(from string, references []reference) error {
	i := slices.IndexFunc(references, func(r reference) bool {
		return !c.may(access.Read, shortest(inContext(contextOf(from), r.Subject)))
	})
	if i < 0 {
		return nil
	}
	return forbidden(c.who, access.Read, references[i].Subject)
}
