package mysql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// alter applies ALTER TABLE.
func (a *applier) alter(n *ast.AlterTableStmt) error {
	name := a.name(n.Table)
	old := a.definition(name)
	if old == nil {
		a.st.kind, a.st.tables = unreadable, []cdc.Table{name}
		return nil
	}
	d, to := old.clone(), name
	for _, spec := range n.Specs {
		if spec.Tp == ast.AlterTableRenameTable {
			to = a.name(spec.NewTable)
		}
	}
	if err := d.alter(n.Specs); err != nil {
		return err
	}
	d.sortKeys()
	if to != name {
		a.made[name] = nil
		a.st.renamed = append(a.st.renamed, name)
	}
	a.set("ALTER", to, d)
	return nil
}

// alter applies the clauses of a statement, which is not one after the other: what a clause drops, changes or renames
// is what had that name before the statement, and what it adds, or places behind another column, goes by the names
// after it. So two columns can change their names, and one can be added in the place of one that is dropped.
func (d *definition) alter(specs []*ast.AlterTableSpec) error {
	for i := range d.Columns {
		d.Columns[i].was = d.Columns[i].Name
	}
	for _, pass := range []func(*ast.AlterTableSpec) error{d.alterOld, d.alterColumns} {
		for _, spec := range specs {
			if err := pass(spec); err != nil {
				return err
			}
		}
	}
	d.renameKeys()
	for _, pass := range []func(*ast.AlterTableSpec) error{d.alterPlaces, d.alterNew} {
		for _, spec := range specs {
			if err := pass(spec); err != nil {
				return err
			}
		}
	}
	return nil
}

// alterOld takes away what goes by its old name, and sets what new columns depend on.
func (d *definition) alterOld(spec *ast.AlterTableSpec) error {
	switch spec.Tp {
	case ast.AlterTableDropColumn:
		return d.drop(spec.OldColumnName.Name.O, spec.IfExists)
	case ast.AlterTableDropPrimaryKey:
		d.dropIndex(primary)
	case ast.AlterTableDropIndex:
		d.dropIndex(spec.Name)
	case ast.AlterTableRenameIndex:
		for i := range d.Unique {
			if strings.EqualFold(d.Unique[i].Name, spec.FromKey.O) {
				d.Unique[i].Name = spec.ToKey.O
			}
		}
	case ast.AlterTableOption:
		d.alterOptions(spec.Options)
	case ast.AlterTableTruncatePartition, ast.AlterTableDropPartition, ast.AlterTableExchangePartition:
		// Rows vanish without a change of theirs in the log, as with TRUNCATE of a partition in Debezium.
	}
	return nil
}

// alterColumns changes columns that stay.
func (d *definition) alterColumns(spec *ast.AlterTableSpec) error {
	switch spec.Tp {
	case ast.AlterTableModifyColumn:
		return d.modify(spec.NewColumns[0].Name.Name.O, spec)
	case ast.AlterTableChangeColumn:
		return d.modify(spec.OldColumnName.Name.O, spec)
	case ast.AlterTableRenameColumn:
		i, err := d.former(spec.OldColumnName.Name.O)
		if err == nil {
			d.Columns[i].Name = spec.NewColumnName.Name.O
		}
		return err
	case ast.AlterTableAlterColumn:
		return d.alterDefault(spec.NewColumns[0])
	}
	return nil
}

// alterPlaces adds columns, and moves those that were changed to where they belong.
func (d *definition) alterPlaces(spec *ast.AlterTableSpec) error {
	switch spec.Tp {
	case ast.AlterTableAddColumns:
		for _, c := range spec.NewColumns {
			if spec.IfNotExists && d.find(c.Name.Name.O) >= 0 {
				continue
			}
			if err := d.add(c, spec.Position); err != nil {
				return err
			}
		}
	case ast.AlterTableModifyColumn, ast.AlterTableChangeColumn:
		i := d.find(spec.NewColumns[0].Name.Name.O)
		if p := spec.Position; i >= 0 && p != nil && p.Tp != ast.ColumnPositionNone {
			c := d.Columns[i]
			d.Columns = slices.Delete(d.Columns, i, i+1)
			return d.place(c, p)
		}
	}
	return nil
}

// alterNew adds keys, whose columns go by their new names.
func (d *definition) alterNew(spec *ast.AlterTableSpec) error {
	switch spec.Tp {
	case ast.AlterTableAddColumns:
		for _, c := range spec.NewConstraints {
			d.constraint(c)
		}
	case ast.AlterTableModifyColumn, ast.AlterTableChangeColumn:
		d.columnKeys(spec.NewColumns[0])
	case ast.AlterTableAddConstraint:
		d.constraint(spec.Constraint)
	}
	return nil
}

// alterOptions applies the options of a table. CONVERT TO converts the columns, a new default character set does not.
func (d *definition) alterOptions(list []*ast.TableOption) {
	d.options(list)
	for _, o := range list {
		if o.Tp == ast.TableOptionCharset && o.UintValue == ast.TableOptionCharsetWithConvertTo {
			for i := range d.Columns {
				if c := &d.Columns[i]; c.isText() && c.Charset != "binary" {
					c.Charset = d.Charset
				}
			}
		}
	}
}

func (d *definition) place(c column, pos *ast.ColumnPosition) error {
	at := len(d.Columns)
	if pos != nil {
		switch pos.Tp {
		case ast.ColumnPositionFirst:
			at = 0
		case ast.ColumnPositionAfter:
			i := d.find(pos.RelativeColumn.Name.O)
			if i < 0 {
				return fmt.Errorf("%w: there is no column %s", errDDL, pos.RelativeColumn.Name.O)
			}
			at = i + 1
		}
	}
	d.Columns = slices.Insert(d.Columns, at, c)
	return nil
}

func (d *definition) add(n *ast.ColumnDef, pos *ast.ColumnPosition) error {
	if d.find(n.Name.Name.O) >= 0 {
		return fmt.Errorf("%w: there is a column %s already", errDDL, n.Name.Name.O)
	}
	c, err := d.column(n)
	if err == nil {
		err = d.place(c, pos)
	}
	if err == nil {
		d.columnKeys(n)
	}
	return err
}

func (d *definition) drop(name string, ifExists bool) error {
	i := d.find(name)
	if i < 0 {
		if ifExists {
			return nil
		}
		return fmt.Errorf("%w: there is no column %s", errDDL, name)
	}
	d.Columns = slices.Delete(d.Columns, i, i+1)
	kept := d.Unique[:0]
	for _, u := range d.Unique { // the server takes the column out of its indexes
		u.Columns = slices.DeleteFunc(u.Columns, func(c string) bool { return strings.EqualFold(c, name) })
		if len(u.Columns) > 0 {
			kept = append(kept, u)
		}
	}
	d.Unique = kept
	return nil
}

// former finds a column by the name that it had before the statement.
func (d *definition) former(name string) (int, error) {
	i := slices.IndexFunc(d.Columns, func(c column) bool { return strings.EqualFold(c.was, name) })
	if i < 0 {
		return i, fmt.Errorf("%w: there is no column %s", errDDL, name)
	}
	return i, nil
}

// modify replaces a column's definition.
func (d *definition) modify(name string, spec *ast.AlterTableSpec) error {
	i, err := d.former(name)
	if err != nil {
		if spec.IfExists {
			return nil
		}
		return err
	}
	c, err := d.column(spec.NewColumns[0])
	if err != nil {
		return err
	}
	for _, k := range d.primaryKey() { // it stays NOT NULL
		c.NotNull = c.NotNull || strings.EqualFold(k, name)
	}
	c.was = d.Columns[i].was
	d.Columns[i] = c
	return nil
}

// renameKeys gives the columns of keys their new names.
func (d *definition) renameKeys() {
	for _, u := range d.Unique {
		for k := range u.Columns {
			if i, err := d.former(u.Columns[k]); err == nil {
				u.Columns[k] = d.Columns[i].Name
			}
		}
	}
}

// alterDefault applies ALTER COLUMN … SET DEFAULT or DROP DEFAULT.
func (d *definition) alterDefault(n *ast.ColumnDef) error {
	i, err := d.former(n.Name.Name.O)
	if err != nil {
		return err
	}
	d.Columns[i].Default = nil
	if len(n.Options) > 0 && n.Options[0].Expr != nil {
		d.Columns[i].Default = defaultOf(n.Options[0].Expr)
	}
	return nil
}
