package avro

import (
	"fmt"
	"slices"
)

// resolve fills in the names that were used before their definition. Java copies all types for that, one named type
// after the other, and checks each default once more when the record that it is in gets its fields: against copies, of
// which some have no fields at that moment. Which those are depends on the order, so we go through the types in Java's.
func (p *parser) resolve(root **Schema) error {
	r := resolver{parser: p, copied: make(map[*Schema]bool), open: make(map[*Schema]bool)}
	if len(p.pending) > 0 {
		for _, s := range p.defined {
			if r.copied[s] {
				continue // with all that it leads to
			}
			if err := r.visit(&s, make(map[*Schema]bool)); err != nil {
				return err
			}
		}
		if err := r.visit(root, make(map[*Schema]bool)); err != nil {
			return err
		}
	}
	for slot, name := range p.pending {
		*slot = p.known[name]
	}
	return nil
}

type resolver struct {
	*parser
	copied map[*Schema]bool
	open   map[*Schema]bool // copies without fields
	steps  int
}

// maxResolveSteps bounds the walks: types that lead to each other may be gone through again for each name.
const maxResolveSteps = 1 << 20

// visit goes through what is in a place. What one walk has seen it does not enter again; another walk does.
func (r *resolver) visit(at **Schema, seen map[*Schema]bool) error {
	if r.steps++; r.steps > maxResolveSteps {
		return fmt.Errorf("too many types are used before their definition")
	}
	if name, late := r.pending[at]; late {
		s := r.known[name]
		switch {
		case s == nil:
			return fmt.Errorf("the type %q is not defined", name)
		case *at == nil:
			*at = s
			if !r.copied[s] {
				return r.visit(&s, make(map[*Schema]bool))
			}
		}
		return nil
	}
	s := *at
	if seen[s] {
		return nil
	}
	seen[s] = true
	switch s.Type {
	case Array, Map:
		return r.visit(&s.Elem, seen)
	case Union:
		for i := range slices.Backward(s.Branches) {
			if err := r.visit(&s.Branches[i], seen); err != nil {
				return err
			}
		}
	case Record:
		return r.record(s, seen)
	}
	return nil
}

func (r *resolver) record(s *Schema, seen map[*Schema]bool) error {
	if !r.copied[s] {
		r.copied[s], r.open[s] = true, true
	}
	for i := range s.Fields {
		if err := r.visit(&s.Fields[i].Schema, seen); err != nil {
			return err
		}
	}
	if !r.open[s] {
		return nil // another walk was quicker
	}
	for i := range s.Fields {
		if err := r.checkDefault(&s.Fields[i], r.open); err != nil {
			return fmt.Errorf("record %s: %w", s.Name, err)
		}
	}
	delete(r.open, s)
	return nil
}
