package schemaregistry

import (
	"maps"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/schemaregistry/access"
)

func (c *call) root() (any, error)  { return struct{}{}, nil }
func (c *call) types() (any, error) { return kinds(), nil }

func (c *call) contexts() (any, error) {
	var names []string
	c.view(func(st *state) { names = st.contextNames() })
	prefix := c.query.Get("contextPrefix")
	return page(c, slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, prefix) }), 0), nil
}

func (c *call) deleteContext() (any, error) {
	name := contextOf(":." + strings.TrimLeft(strings.TrimSuffix(c.path[1], ":"), ":.") + ":")
	if err := c.need(access.Delete, joinSubject(name, "")); err != nil {
		return nil, err
	}
	return nil, c.registry.deleteContext(c.Context(), name)
}

// subject is the subject in a path that begins with one segment before it.
func (c *call) subject() string { return c.path[1] }

// maxSchemas is how many schemas are listed at once.
const maxSchemas = 1000

// listedSchema is a version in a list, with the aliases of its subject if they were asked for.
type listedSchema struct {
	versionAnswer
	Aliases []string `json:"aliases,omitempty"`
}

func (c *call) listSchemas() (_ any, err error) {
	var list []listedSchema
	matches, readable := matcher(c.query.Get("subjectPrefix")), c.readable()
	ruleType := c.query.Get("ruleType")
	c.view(func(st *state) {
		aliases := make(map[string][]string)
		if c.flag("aliases") {
			aliases = st.aliases()
		}
		for _, name := range slices.Sorted(maps.Keys(st.subjects)) {
			if !readable(name) || !matches(name) && !slices.ContainsFunc(aliases[name], matches) {
				continue
			}
			versions := st.subjects[name].live(c.flag("deleted"))
			if n := len(versions); n > 1 && c.flag("latestOnly") {
				versions = versions[n-1:]
			}
			for _, v := range versions {
				if ruleType != "" && !v.schema.ruleSet.has(ruleType) {
					continue
				}
				a, formatting := c.describe(st, name, v)
				if formatting != nil {
					err = formatting
				}
				list = append(list, listedSchema{a, aliases[name]})
			}
		}
	})
	return page(c, list, maxSchemas), err
}

func (c *call) listSubjects() (any, error) {
	prefix := ":*:"
	if c.query.Has("subjectPrefix") {
		prefix = c.query.Get("subjectPrefix")
	}
	var names []string
	matches, readable := matcher(prefix), c.readable()
	deleted, only := c.flag("deleted"), c.flag("deletedOnly")
	c.view(func(st *state) {
		for name, sub := range st.subjects {
			live := slices.ContainsFunc(sub.versions, func(v *version) bool { return !v.deleted })
			if matches(name) && (only && !live || !only && (live || deleted)) && readable(name) {
				names = append(names, name)
			}
		}
	})
	slices.Sort(names)
	return page(c, names, 0), nil
}

func (c *call) listVersions() (any, error) {
	var numbers []int
	var found bool
	only, negative := c.flag("deletedOnly"), c.flag("deletedAsNegative")
	c.view(func(st *state) {
		versions := st.subjects[shortest(c.subject())].live(c.flag("deleted") || only || negative)
		found = len(versions) > 0
		for _, v := range versions {
			switch {
			case v.deleted && negative:
				numbers = append(numbers, -v.number)
			case v.deleted || !only:
				numbers = append(numbers, v.number)
			}
		}
	})
	if !found {
		return nil, subjectNotFound(c.subject())
	}
	return page(c, numbers, 0), nil
}

// found calls do with the version that the path names, and its subject; with deleted, also with a soft-deleted one.
func (c *call) found(deleted bool, do func(st *state, name string, v *version) error) error {
	number, err := parseVersion(c.path[3])
	if err != nil {
		return err
	}
	c.view(func(st *state) {
		var name string
		var v *version
		if name, v, err = st.findAnywhere(shortest(c.subject()), number, deleted); err == nil {
			err = c.need(access.Read, name) // it may be in another context than it was asked for in
		}
		if err == nil {
			err = do(st, name, v)
		}
	})
	return err
}

func (c *call) version() (any, error) {
	var a versionAnswer
	err := c.found(c.flag("deleted"), func(st *state, name string, v *version) (err error) {
		a, err = c.describe(st, name, v)
		return err
	})
	return a, err
}

func (c *call) versionText() (any, error) {
	var t text
	err := c.found(c.flag("deleted"), func(st *state, _ string, v *version) error {
		s, err := st.formatted(v.schema, c.query.Get("format"))
		t = text(s)
		return err
	})
	return t, err
}

func (c *call) referencedBy() (any, error) {
	var ids []int
	readable := c.readable()
	err := c.found(true, func(st *state, name string, v *version) error {
		st.referrers(name, c.flag("deleted"), func(from string, by *version, to int) {
			if to == v.number && readable(from) {
				ids = append(ids, by.schema.id)
			}
		})
		return nil
	})
	slices.Sort(ids)
	return page(c, slices.Compact(ids), 0), err
}

// byMetadata answers with the newest version that has all properties of the query: its keys and values go in pairs.
func (c *call) byMetadata() (any, error) {
	keys, values := c.query["key"], c.query["value"]
	keys = keys[:min(len(keys), len(values))]
	var a versionAnswer
	name := shortest(c.subject())
	err := error(schemaNotFound())
	c.view(func(st *state) {
		versions := st.subjects[name].live(c.flag("deleted"))
		if len(versions) == 0 {
			err = subjectNotFound(c.subject())
		}
		for _, v := range slices.Backward(versions) {
			if hasAll(v.schema.metadata, keys, values) {
				a, err = c.describe(st, name, v)
				return
			}
		}
	})
	return a, err
}

func hasAll(m *metadata, keys, values []string) bool {
	if m == nil {
		return false
	}
	for i, k := range keys {
		if v, ok := m.property(k); !ok || v != values[i] {
			return false
		}
	}
	return true
}

func (c *call) deleteSubject() (any, error) {
	return c.registry.deleteSubject(c.Context(), c.subject(), c.flag("permanent"))
}

func (c *call) deleteVersion() (any, error) {
	return c.registry.deleteVersion(c.Context(), c.subject(), c.path[3], c.flag("permanent"))
}

func (c *call) lookup() (any, error) {
	var q request
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	if err := c.mayRefer(c.subject(), q.References); err != nil {
		return nil, err
	}
	name, v, err := c.registry.lookup(c.subject(), q, c.flag("normalize"), c.flag("deleted"))
	if err == nil {
		err = c.need(access.Read, name)
	}
	if err != nil {
		return nil, err
	}
	var a versionAnswer
	c.view(func(st *state) { a, err = c.describe(st, name, v) })
	return a, err
}

func (c *call) register() (any, error) {
	var q request
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	if err := c.mayRefer(c.subject(), q.References); err != nil {
		return nil, err
	}
	v, err := c.registry.register(c.Context(), c.subject(), q, registering{c.flag("normalize"), c.flag("force")})
	if err != nil {
		return nil, err
	}
	a := versionAnswer{ID: v.schema.id}
	if c.full {
		c.view(func(st *state) { a, err = c.describe(st, "", v) })
		a.Time, a.Deleted = 0, nil
	}
	of := v.schema
	asSent := q.Schema != "" && hashOf("", nil, q.Metadata, q.RuleSet) == hashOf("", nil, of.metadata, of.ruleSet)
	if !c.full || asSent {
		// Clients take a schema in the answer for one that is other than what they sent.
		return registered{a.ID, a.Version, a.GUID}, nil
	}
	return a, err
}

// registered is the answer to most registrations.
type registered struct {
	ID      int    `json:"id"`
	Version int    `json:"version,omitempty"`
	GUID    string `json:"guid,omitempty"`
}
