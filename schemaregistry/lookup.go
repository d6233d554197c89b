package schemaregistry

import (
	"strconv"
	"strings"
)

// latest is the number of the newest version in a request.
const latest = -1

// parseVersion reads the version of a path: a number from 1, "latest" or -1.
func parseVersion(text string) (int, error) {
	if t := strings.TrimSpace(text); strings.EqualFold(t, "latest") || t == "-1" {
		return latest, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil || n < 1 {
		return 0, invalidVersion(text)
	}
	return int(n), nil
}

// find returns a version. The latest one is never a soft-deleted one.
func (s *state) find(name string, number int, deleted bool) (*version, error) {
	sub := s.subjects[shortest(name)]
	live := sub.live(false)
	if len(live) == 0 && (!deleted || len(sub.all()) == 0) {
		return nil, subjectNotFound(name)
	}
	if number == latest {
		if len(live) > 0 {
			return live[len(live)-1], nil
		}
		return nil, versionNotFound(latest)
	}
	if v := sub.find(number); v != nil && (deleted || !v.deleted) {
		return v, nil
	}
	return nil, versionNotFound(number)
}

// findAnywhere is find that goes on in all other contexts if the name has none and the default one has no such
// version. It returns the name under which it was found, too.
func (s *state) findAnywhere(name string, number int, deleted bool) (string, *version, error) {
	v, err := s.find(name, number, deleted)
	if err == nil || contextOf(name) != defaultContext {
		return name, v, err
	}
	for _, context := range s.contextNames()[1:] {
		if v, notFound := s.find(inContext(context, name), number, deleted); notFound == nil {
			return inContext(context, name), v, nil
		}
	}
	return name, nil, err
}

// schemaByID returns the schema of an id in the context of a subject, whose own name may be empty; if it is not, the
// subject must have the schema. For one without a context all contexts are looked through, and what the default one
// has under that id is better than nothing.
func (s *state) schemaByID(id int, subject string) (*schema, error) {
	context, own := splitSubject(subject)
	of := s.in(context).byID[id]
	if of != nil && (own == "" || s.subjects[joinSubject(context, own)].versionOf(of) != nil) {
		return of, nil
	}
	if context != defaultContext || own == "" {
		return nil, idNotFound(id)
	}
	for _, other := range s.contextNames()[1:] {
		if of := s.in(other).byID[id]; of != nil && s.subjects[joinSubject(other, own)].versionOf(of) != nil {
			return of, nil
		}
	}
	if of == nil {
		return nil, idNotFound(id)
	}
	return of, nil
}

// versionOf returns the newest version that has the schema, nil if none has.
func (s *subject) versionOf(of *schema) (found *version) {
	for _, v := range s.all() {
		if v.schema == of {
			found = v
		}
	}
	return found
}

// schemaByHash returns the schema with that identity, of the default context if it is there.
func (s *state) schemaByHash(h hash) *schema {
	for _, name := range s.contextNames() {
		if of := s.in(name).byHash[h]; of != nil {
			return of
		}
	}
	return nil
}

// referrers calls found for every version that refers to a version of the subject; with deleted, also for
// soft-deleted ones.
func (s *state) referrers(name string, deleted bool, found func(subject string, v *version, to int)) {
	for other, sub := range s.subjects {
		for _, v := range sub.all() {
			if v.deleted && !deleted {
				continue
			}
			for _, r := range v.schema.references {
				if shortest(inContext(v.schema.context, r.Subject)) == name {
					found(other, v, r.Version)
				}
			}
		}
	}
}
