package mysql

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// columnKeys takes the keys that a column's definition declares.
func (d *definition) columnKeys(n *ast.ColumnDef) {
	for _, o := range n.Options {
		switch o.Tp {
		case ast.ColumnOptionPrimaryKey:
			d.addIndex(primary, []string{n.Name.Name.O})
		case ast.ColumnOptionUniqKey:
			d.addIndex(n.Name.Name.O, []string{n.Name.Name.O})
		}
	}
}

func (d *definition) addIndex(name string, columns []string) {
	d.dropIndex(name)
	d.Unique = append(d.Unique, index{Name: name, Columns: columns})
	if name == primary {
		for _, c := range columns {
			if i := d.find(c); i >= 0 {
				d.Columns[i].NotNull = true
			}
		}
	}
}

func (d *definition) dropIndex(name string) {
	d.Unique = slices.DeleteFunc(d.Unique, func(u index) bool { return strings.EqualFold(u.Name, name) })
}

// unique adds an index, unless it is on an expression.
func (d *definition) unique(name string, parts []*ast.IndexPartSpecification) {
	var columns []string
	for _, p := range parts {
		if p.Column == nil {
			return
		}
		columns = append(columns, p.Column.Name.O)
	}
	if name == "" && len(columns) > 0 {
		name = columns[0]
	}
	d.addIndex(name, columns)
}

func (d *definition) constraint(c *ast.Constraint) {
	switch c.Tp {
	case ast.ConstraintPrimaryKey:
		d.unique(primary, c.Keys)
	case ast.ConstraintUniq, ast.ConstraintUniqKey, ast.ConstraintUniqIndex:
		d.unique(c.Name, c.Keys)
	}
}

// sortKeys puts the primary key before the other indexes, which stay in the order of their making.
func (d *definition) sortKeys() {
	slices.SortStableFunc(d.Unique, func(a, b index) int {
		switch {
		case a.Name == primary && b.Name != primary:
			return -1
		case b.Name == primary && a.Name != primary:
			return 1
		}
		return 0
	})
}
