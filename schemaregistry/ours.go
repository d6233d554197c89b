package schemaregistry

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/sluicehub/sluice/schemaregistry/access"
)

// What Confluent's registry does not have, under /api/v1/registry:
//
//	GET  subjects                           a page of subjects with all that a list of them shows
//	POST subjects/{s}/dry-run               what a registration would come to
//	GET  subjects/{s}/diff?from=&to=        what two versions differ in, and whether they are compatible
//	POST subjects/{s}/versions/{v}/restore  takes a soft deletion back
//	GET  schemas/ids/{id}/usage             the topics and connectors that use a schema
func ours() []endpoint {
	const get, post = http.MethodGet, http.MethodPost
	return []endpoint{
		{[]string{"subjects"}, map[string]action{get: {(*call).overview, anybody}}},
		{[]string{"subjects", "*", "dry-run"}, map[string]action{post: {(*call).dryRun, access.Read}}},
		{[]string{"subjects", "*", "diff"}, map[string]action{get: {(*call).diff, access.Read}}},
		{[]string{"subjects", "*", "versions", "*", "restore"}, map[string]action{post: {(*call).restore, access.Write}}},
		{[]string{"schemas", "ids", "*", "usage"}, map[string]action{get: {(*call).usage, anybody}}},
	}
}

// subjectRow is a subject in an overview.
type subjectRow struct {
	Subject   string `json:"subject"`
	Context   string `json:"context"`
	Version   int    `json:"version,omitempty"` // the latest; absent if all are soft-deleted, as are id and type then
	ID        int    `json:"id,omitempty"`
	Type      string `json:"schemaType,omitempty"`
	Level     string `json:"compatibilityLevel"`
	OwnLevel  bool   `json:"ownLevel"` // it is the subject's own configuration
	Mode      string `json:"mode"`
	Alias     string `json:"alias,omitempty"`
	Versions  int    `json:"versions"`
	Deleted   int    `json:"deletedVersions"`
	Refers    int    `json:"references"` // of the latest version
	UpdatedAt int64  `json:"updatedAt,omitempty"`
}

// A page of an overview has this many rows, and at most so many.
const (
	overviewRows    = 100
	maxOverviewRows = 1000
)

func (c *call) overview() (any, error) {
	prefix := ":*:"
	if c.query.Has("subjectPrefix") {
		prefix = c.query.Get("subjectPrefix")
	}
	matches, readable, deleted := matcher(prefix), c.readable(), c.flag("deleted")
	offset, limit := max(0, c.number("offset", 0)), c.number("limit", overviewRows)
	if limit <= 0 || limit > maxOverviewRows {
		limit = maxOverviewRows
	}
	a := struct {
		Total    int          `json:"total"`
		Offset   int          `json:"offset"`
		Subjects []subjectRow `json:"subjects"`
	}{Offset: offset, Subjects: []subjectRow{}}
	c.view(func(st *state) {
		for _, name := range slices.Sorted(maps.Keys(st.subjects)) {
			if !matches(name) || !readable(name) || !deleted && len(st.subjects[name].live(false)) == 0 {
				continue
			}
			if a.Total++; a.Total > offset && len(a.Subjects) < limit {
				a.Subjects = append(a.Subjects, c.row(st, name))
			}
		}
	})
	return a, nil
}

// number returns a number of the query.
func (c *call) number(name string, standard int) int {
	if n, err := strconv.Atoi(c.query.Get(name)); err == nil {
		return n
	}
	return standard
}

func (c *call) row(st *state, name string) subjectRow {
	opts := c.registry.opts
	sub := st.subjects[name]
	live := sub.live(false)
	r := subjectRow{Subject: name, Context: contextOf(name), Level: st.configOf(name, opts.Level, opts.InheritLevel).Level,
		OwnLevel: st.configs[name].Level != "", Mode: st.mode(name), Alias: st.configs[name].Alias,
		Versions: len(live), Deleted: len(sub.all()) - len(live)}
	if len(live) > 0 {
		v := live[len(live)-1]
		r.Version, r.ID, r.Type, r.Refers, r.UpdatedAt = v.number, v.schema.id, v.schema.kind, len(v.schema.references), v.time
	}
	return r
}

func (c *call) dryRun() (any, error) {
	var q request
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	if err := c.mayRefer(c.subject(), q.References); err != nil {
		return nil, err
	}
	return c.registry.rehearse(c.subject(), q, registering{c.flag("normalize"), c.flag("force")})
}

// versionName names a version in an answer of ours.
type versionName struct {
	Version int    `json:"version"`
	ID      int    `json:"id"`
	Type    string `json:"schemaType"`
	Deleted bool   `json:"deleted"`
}

// diff compares two versions: from, the one before to if absent, and to, the latest if absent.
func (c *call) diff() (any, error) {
	to, from := latest, 0
	var err error
	if text := c.query.Get("to"); text != "" {
		if to, err = parseVersion(text); err != nil {
			return nil, err
		}
	}
	if text := c.query.Get("from"); text != "" {
		if from, err = parseVersion(text); err != nil {
			return nil, err
		}
	}
	a := struct {
		Subject     string       `json:"subject"`
		From        versionName  `json:"from"`
		To          versionName  `json:"to"`
		Differences []difference `json:"differences"`
		// Why to cannot read what was written as from, and the other way round; nothing if it can.
		Backward []string `json:"backward"`
		Forward  []string `json:"forward"`
	}{Subject: shortest(c.subject()), Backward: []string{}, Forward: []string{}}
	c.view(func(st *state) {
		var old, next *version
		if old, next, err = st.pair(a.Subject, from, to, c.flag("deleted")); err != nil {
			return
		}
		a.From, a.To = nameOf(old), nameOf(next)
		if old.schema.kind != next.schema.kind {
			a.Differences = []difference{{"", "changed", old.schema.text, next.schema.text}}
			a.Backward = append(a.Backward, "Incompatible because of different schema type")
			a.Forward = a.Backward
			return
		}
		a.Differences = differences(next.schema.kind, old.schema.text, next.schema.text)
		var was, is document
		if was, err = st.document(old.schema); err != nil {
			return
		}
		if is, err = st.document(next.schema); err != nil {
			return
		}
		lenient := st.configOf(a.Subject, c.registry.opts.Level, false).policy().lenient
		a.Backward = append(a.Backward, is.explain(was, lenient, "new", "old")...)
		a.Forward = append(a.Forward, was.explain(is, lenient, "old", "new")...)
	})
	return a, err
}

func nameOf(v *version) versionName {
	return versionName{v.number, v.schema.id, v.schema.kind, v.deleted}
}

// pair returns two versions of a subject; from 0 is the one before to.
func (s *state) pair(name string, from, to int, deleted bool) (old, next *version, err error) {
	if next, err = s.find(name, to, deleted); err != nil {
		return nil, nil, err
	}
	if from != 0 {
		old, err = s.find(name, from, deleted)
		return old, next, err
	}
	for _, v := range s.subjects[name].live(deleted) {
		if v.number < next.number {
			old = v
		}
	}
	if old == nil {
		return nil, nil, &Error{Status: 404, Code: 40402, Message: fmt.Sprintf("No version before version %d of subject '%s'.", next.number, name)}
	}
	return old, next, nil
}

func (c *call) restore() (any, error) {
	name := shortest(c.subject())
	v, err := c.registry.restore(c.Context(), name, c.path[3])
	if err != nil {
		return nil, err
	}
	return subjectVersion{name, v.number}, nil
}
