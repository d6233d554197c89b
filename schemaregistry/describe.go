package schemaregistry

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/schemaregistry/access"
)

// versionAnswer describes a version. GUID, and the members behind Schema, are for clients that ask for them.
type versionAnswer struct {
	Subject    string      `json:"subject,omitempty"`
	Version    int         `json:"version,omitempty"`
	ID         int         `json:"id,omitempty"`
	GUID       string      `json:"guid,omitempty"`
	Type       string      `json:"schemaType,omitempty"`
	References []reference `json:"references,omitempty"`
	Metadata   *metadata   `json:"metadata,omitempty"`
	RuleSet    *ruleSet    `json:"ruleSet,omitempty"`
	Schema     string      `json:"schema"`
	Time       int64       `json:"ts,omitempty"`
	Deleted    *bool       `json:"deleted,omitempty"`
	MaxID      int         `json:"maxId,omitempty"`
	Subjects   []string    `json:"subjects,omitempty"`
}

func (c *call) describeSchema(st *state, of *schema) (versionAnswer, error) {
	a := versionAnswer{Type: of.kind, References: of.references, Metadata: of.metadata, RuleSet: of.ruleSet}
	if c.query.Get("referenceFormat") == "qualified" {
		a.References = slices.Clone(of.references)
		for i, r := range a.References {
			a.References[i].Subject = shortest(inContext(of.context, r.Subject))
		}
	}
	if c.full {
		a.GUID = of.hash.String()
	} else if of.kind == kindAvro {
		a.Type = ""
	}
	var err error
	a.Schema, err = st.formatted(of, c.query.Get("format"))
	return a, err
}

func (c *call) describe(st *state, name string, v *version) (versionAnswer, error) {
	a, err := c.describeSchema(st, v.schema)
	a.Subject, a.Version, a.ID = name, v.number, v.schema.id
	if c.full {
		a.Time, a.Deleted = v.time, &v.deleted
	}
	return a, err
}

// view calls do with the state locked.
func (c *call) view(do func(*state)) {
	c.registry.store.mu.RLock()
	defer c.registry.store.mu.RUnlock()
	do(c.registry.store.state)
}

// holder is the subject that a request about an id names, perhaps only by its context.
func (c *call) holder() string { return c.query.Get("subject") }

// byID calls do with the schema that the path names by its id.
func (c *call) byID(do func(*state, *schema) error) (err error) {
	id, err := strconv.ParseInt(c.path[2], 10, 32)
	if err != nil {
		return plain(404)
	}
	c.view(func(st *state) {
		var of *schema
		if of, err = st.schemaByID(int(id), c.holder()); err == nil && !c.mayReadSchema(st, of) {
			err = idNotFound(int(id))
		}
		if err == nil {
			err = do(st, of)
		}
	})
	return err
}

func (c *call) schemaByID() (any, error) {
	if len(c.query) == 0 {
		return c.answerByID()
	}
	var a versionAnswer
	err := c.byID(func(st *state, of *schema) (err error) {
		if a, err = c.describeSchema(st, of); err != nil {
			return err
		}
		if _, own := splitSubject(c.holder()); own != "" {
			name := joinSubject(of.context, own)
			if v := st.subjects[name].versionOf(of); v != nil && c.may(access.Read, name) {
				a.Subject, a.Version = name, v.number
			}
		}
		if c.flag("fetchMaxId") {
			a.MaxID = st.maxIDs[of.context]
		}
		if c.flag("includeSubjects") { // Karapace's
			for _, u := range c.usesOf(st, of) {
				a.Subjects = append(a.Subjects, u.Subject)
			}
			a.Subjects = slices.Compact(a.Subjects)
		}
		return nil
	})
	return a, err
}

// answerByID is schemaByID without a query, which is how serializers ask. The answer never changes, so it is kept as it
// is sent.
func (c *call) answerByID() (t text, err error) {
	err = c.byID(func(st *state, of *schema) error {
		key := answered{of, c.full}
		var known bool
		if t, known = st.documents.answers.get(key); known {
			return nil
		}
		a, err := c.describeSchema(st, of)
		if err == nil {
			t = text(marshal(a))
			st.documents.answers.put(key, t, len(t))
		}
		return err
	})
	return t, err
}

func (c *call) textByID() (any, error) {
	var t text
	err := c.byID(func(st *state, of *schema) error {
		s, err := st.formatted(of, c.query.Get("format"))
		t = text(s)
		return err
	})
	return t, err
}

// byGUID calls do with the schema whose hash the path names, if there is one.
func (c *call) byGUID(do func(*state, hash)) {
	var h hash
	b, err := hex.DecodeString(strings.ReplaceAll(c.path[2], "-", ""))
	if err != nil || len(b) != len(h) {
		return
	}
	copy(h[:], b)
	c.view(func(st *state) { do(st, h) })
}

func (c *call) schemaByGUID() (any, error) {
	var a versionAnswer
	err := error(answer(40403, "Schema %s not found", c.path[2]))
	c.byGUID(func(st *state, h hash) {
		if of := st.schemaByHash(h); of != nil && c.mayReadSchema(st, of) {
			a, err = c.describeSchema(st, of)
		}
	})
	return a, err
}

func (c *call) idsByGUID() (any, error) {
	type contextID struct {
		Context string `json:"context"`
		ID      int    `json:"id"`
	}
	list := []contextID{}
	c.byGUID(func(st *state, h hash) {
		for _, name := range st.contextNames() {
			if of := st.in(name).byHash[h]; of != nil && c.mayReadSchema(st, of) {
				list = append(list, contextID{name, of.id})
			}
		}
	})
	return list, nil
}

type subjectVersion struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// uses returns the versions that have the schema of the path, by subject and number.
func (c *call) uses() (list []subjectVersion, err error) {
	err = c.byID(func(st *state, of *schema) error {
		list = c.usesOf(st, of)
		return nil
	})
	return list, err
}

func (c *call) usesOf(st *state, of *schema) (list []subjectVersion) {
	deleted, readable := c.flag("deleted"), c.readable()
	_, want := splitSubject(c.holder())
	for name, sub := range st.subjects {
		if want != "" && joinSubject(of.context, want) != name || !readable(name) {
			continue
		}
		for _, v := range sub.all() {
			if v.schema == of && (deleted || !v.deleted) {
				list = append(list, subjectVersion{name, v.number})
			}
		}
	}
	slices.SortFunc(list, func(a, b subjectVersion) int {
		return cmp.Or(strings.Compare(a.Subject, b.Subject), cmp.Compare(a.Version, b.Version))
	})
	return list
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
	return page(c, slices.Compact(names), 0), nil
}

func (c *call) versionsByID() (any, error) {
	list, err := c.uses()
	return page(c, list, 0), err
}
