package schemaregistry

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/schemaregistry/avro"
)

// versionAnswer describes a version. Members behind Schema, and GUID, are for clients that ask for them.
type versionAnswer struct {
	Subject    string          `json:"subject,omitempty"`
	Version    int             `json:"version,omitempty"`
	ID         int             `json:"id,omitempty"`
	GUID       string          `json:"guid,omitempty"`
	Type       string          `json:"schemaType,omitempty"`
	References json.RawMessage `json:"references,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	RuleSet    json.RawMessage `json:"ruleSet,omitempty"`
	Schema     string          `json:"schema"`
	Time       int64           `json:"ts,omitempty"`
	Deleted    *bool           `json:"deleted,omitempty"`
	MaxID      int             `json:"maxId,omitempty"`
}

func (c *call) describeSchema(s *schema) versionAnswer {
	a := versionAnswer{Type: s.kind, Metadata: s.metadata, RuleSet: s.ruleSet, Schema: s.text}
	if len(s.referenceList()) > 0 {
		a.References = s.references
	}
	if c.full {
		a.GUID = s.hash.String()
	} else if s.kind == "AVRO" {
		a.Type = ""
	}
	return a
}

func (c *call) describe(name string, v *version) versionAnswer {
	a := c.describeSchema(v.schema)
	a.Subject, a.Version, a.ID = name, v.number, v.schema.id
	if c.full {
		a.Time, a.Deleted = v.time, &v.deleted
	}
	return a
}

func (c *call) root() (any, error)     { return struct{}{}, nil }
func (c *call) types() (any, error)    { return []string{"AVRO"}, nil }
func (c *call) contexts() (any, error) { return []string{"."}, nil }

// view calls do with the state locked.
func (c *call) view(do func(*state)) {
	c.registry.store.mu.RLock()
	defer c.registry.store.mu.RUnlock()
	do(c.registry.store.state)
}

// subject is the subject in a path that begins with one segment before it.
func (c *call) subject() string { return c.path[1] }

func (c *call) id() (int, error) {
	id, err := strconv.ParseInt(c.path[2], 10, 32)
	if err != nil {
		return 0, plain(404)
	}
	return int(id), nil
}

// byID returns the schema that the path names by its id.
func (c *call) byID() (*schema, error) {
	id, err := c.id()
	if err != nil {
		return nil, err
	}
	return c.registry.schema(id)
}

func (c *call) schemaByID() (any, error) {
	s, err := c.byID()
	if err != nil {
		return nil, err
	}
	a := c.describeSchema(s)
	if name := c.query.Get("subject"); name != "" {
		c.view(func(st *state) {
			for _, v := range st.subjects[name].all() {
				if v.schema == s {
					a.Subject, a.Version = name, v.number
				}
			}
		})
	}
	if c.flag("fetchMaxId") {
		c.view(func(st *state) { a.MaxID = st.maxID })
	}
	return a, nil
}

func (c *call) textByID() (any, error) {
	s, err := c.byID()
	if err != nil {
		return nil, err
	}
	return text(s.text), nil
}

// byGUID returns the schema whose hash the path names, nil if there is none.
func (c *call) byGUID() (found *schema) {
	var h hash
	b, err := hex.DecodeString(strings.ReplaceAll(c.path[2], "-", ""))
	if err != nil || len(b) != len(h) {
		return nil
	}
	copy(h[:], b)
	c.view(func(st *state) { found = st.byHash[h] })
	return found
}

func (c *call) schemaByGUID() (any, error) {
	s := c.byGUID()
	if s == nil {
		return nil, answer(40403, "Schema %s not found", c.path[2])
	}
	return c.describeSchema(s), nil
}

func (c *call) idsByGUID() (any, error) {
	type contextID struct {
		Context string `json:"context"`
		ID      int    `json:"id"`
	}
	list := []contextID{}
	if s := c.byGUID(); s != nil {
		list = append(list, contextID{".", s.id})
	}
	return list, nil
}

type subjectVersion struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// uses returns the versions that have a schema, by subject and number.
func (c *call) uses() ([]subjectVersion, error) {
	s, err := c.byID()
	if err != nil {
		return nil, err
	}
	var list []subjectVersion
	c.view(func(st *state) {
		for name, sub := range st.subjects {
			if want := c.query.Get("subject"); want != "" && want != name {
				continue
			}
			for _, v := range sub.live(c.flag("deleted")) {
				if v.schema == s {
					list = append(list, subjectVersion{name, v.number})
				}
			}
		}
	})
	slices.SortFunc(list, func(a, b subjectVersion) int {
		if a.Subject != b.Subject {
			return strings.Compare(a.Subject, b.Subject)
		}
		return a.Version - b.Version
	})
	return list, nil
}

func (c *call) subjectsByID() (any, error) {
	list, err := c.uses()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, u := range list {
		names = append(names, u.Subject)
	}
	return page(c, slices.Compact(names)), nil
}

func (c *call) versionsByID() (any, error) {
	list, err := c.uses()
	return page(c, list), err
}

func (c *call) listSchemas() (any, error) {
	var list []versionAnswer
	prefix := c.query.Get("subjectPrefix")
	c.view(func(st *state) {
		for _, name := range slices.Sorted(maps.Keys(st.subjects)) {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			versions := st.subjects[name].live(c.flag("deleted"))
			if n := len(versions); n > 1 && c.flag("latestOnly") {
				versions = versions[n-1:]
			}
			for _, v := range versions {
				list = append(list, c.describe(name, v))
			}
		}
	})
	return page(c, list), nil
}

func (c *call) listSubjects() (any, error) {
	var names []string
	prefix := strings.TrimPrefix(c.query.Get("subjectPrefix"), ":*:")
	c.view(func(st *state) {
		for name, sub := range st.subjects {
			live := len(sub.live(false)) > 0
			switch {
			case !strings.HasPrefix(name, prefix):
			case c.flag("deletedOnly") && !live, !c.flag("deletedOnly") && (live || c.flag("deleted")):
				names = append(names, name)
			}
		}
	})
	slices.Sort(names)
	return page(c, names), nil
}

func (c *call) listVersions() (any, error) {
	var numbers []int
	only := c.flag("deletedOnly")
	c.view(func(st *state) {
		for _, v := range st.subjects[c.subject()].live(c.flag("deleted") || only) {
			if v.deleted || !only {
				numbers = append(numbers, v.number)
			}
		}
	})
	if len(numbers) == 0 {
		return nil, subjectNotFound(c.subject())
	}
	return page(c, numbers), nil
}

// found returns the version that the path names.
func (c *call) found() (*version, error) {
	number, err := parseVersion(c.path[3])
	if err != nil {
		return nil, err
	}
	return c.registry.find(c.subject(), number, c.flag("deleted"))
}

func (c *call) version() (any, error) {
	v, err := c.found()
	if err != nil {
		return nil, err
	}
	return c.describe(c.subject(), v), nil
}

func (c *call) versionText() (any, error) {
	v, err := c.found()
	if err != nil {
		return nil, err
	}
	return text(v.schema.text), nil
}

func (c *call) referencedBy() (any, error) {
	v, err := c.found()
	if err != nil {
		return nil, err
	}
	ids := []int{}
	c.view(func(st *state) {
		for id, s := range st.byID {
			if slices.ContainsFunc(s.referenceList(), func(r reference) bool { return r.Subject == c.subject() && r.Version == v.number }) {
				ids = append(ids, id)
			}
		}
	})
	slices.Sort(ids)
	return ids, nil
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
	v, err := c.registry.lookup(c.subject(), q, c.flag("normalize"), c.flag("deleted"))
	if err != nil {
		return nil, err
	}
	return c.describe(c.subject(), v), nil
}

func (c *call) register() (any, error) {
	var q request
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	v, err := c.registry.register(c.Context(), c.subject(), q, c.flag("normalize"))
	if err != nil {
		return nil, err
	}
	if !c.full {
		return struct {
			ID int `json:"id"`
		}{v.schema.id}, nil
	}
	a := c.describe("", v)
	a.Time, a.Deleted = 0, nil
	return a, nil
}

// compatible is the answer to a compatibility check; messages only if they were asked for.
type compatible struct {
	Is       bool      `json:"is_compatible"`
	Messages *[]string `json:"messages,omitempty"`
}

func (c *call) checkAll() (any, error) { return c.check(func(l avro.Level) avro.Level { return l }, 0) }

// checkOne compares with one version, whatever the level says about how many.
func (c *call) checkOne() (any, error) {
	number, err := parseVersion(c.path[4])
	if err != nil {
		return nil, err
	}
	return c.check(func(l avro.Level) avro.Level {
		direction, _ := strings.CutSuffix(string(l), "_TRANSITIVE")
		return avro.Level(direction)
	}, number)
}

// check compares the schema of the body with one version of the subject, or with those that its level names for
// number 0. What does not exist is compatible with everything, unless it was asked for by its number.
func (c *call) check(as func(avro.Level) avro.Level, number int) (any, error) {
	name := c.path[2]
	var q request
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	answer := compatible{Is: true}
	messages := []string{}
	var err error
	c.view(func(st *state) {
		versions := st.subjects[name].live(false)
		switch n := len(versions); {
		case number == latest && n > 0:
			versions = versions[n-1:]
		case number > 0:
			v, notFound := st.find(name, number, false)
			if notFound != nil {
				err = versionNotFound(number)
				return
			}
			versions = []*version{v}
		}
		parsed, bad := st.parse(q, c.flag("normalize"), true)
		if bad == nil {
			messages = append(messages, st.explain(as(st.level(name, c.registry.opts.Level)), parsed.schema, versions)...)
		} else if c.flag("verbose") {
			messages = append(messages, bad.(*Error).Message)
		} else {
			err = bad
		}
	})
	if err != nil {
		return nil, err
	}
	answer.Is = len(messages) == 0
	if c.flag("verbose") {
		answer.Messages = &messages
	}
	return answer, nil
}
