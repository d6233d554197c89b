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
			continue
		}
		if err := a.alterOne(d, spec); err != nil {
			return err
		}
	}
	d.sortKeys()
	if to != name {
		a.made[name] = nil
		a.st.renamed = append(a.st.renamed, name)
	}
	a.set("ALTER", to, d)
	return nil
}

// alterOne applies one clause of ALTER TABLE.
func (a *applier) alterOne(d *definition, spec *ast.AlterTableSpec) error {
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
		for _, c := range spec.NewConstraints {
			d.constraint(c)
		}
	case ast.AlterTableDropColumn:
		return d.drop(spec.OldColumnName.Name.O, spec.IfExists)
	case ast.AlterTableModifyColumn:
		return d.modify(spec.NewColumns[0].Name.Name.O, spec)
	case ast.AlterTableChangeColumn:
		return d.modify(spec.OldColumnName.Name.O, spec)
	case ast.AlterTableRenameColumn:
		return d.renameColumn(spec.OldColumnName.Name.O, spec.NewColumnName.Name.O)
	case ast.AlterTableAlterColumn:
		return d.alterDefault(spec.NewColumns[0])
	case ast.AlterTableAddConstraint:
		d.constraint(spec.Constraint)
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

// modify replaces a column's definition.
func (d *definition) modify(name string, spec *ast.AlterTableSpec) error {
	i := d.find(name)
	if i < 0 {
		if spec.IfExists {
			return nil
		}
		return fmt.Errorf("%w: there is no column %s", errDDL, name)
	}
	c, err := d.column(spec.NewColumns[0])
	if err != nil {
		return err
	}
	for _, k := range d.primaryKey() { // it stays NOT NULL
		c.NotNull = c.NotNull || strings.EqualFold(k, name)
	}
	d.renameInKeys(name, c.Name)
	d.Columns[i] = c
	if p := spec.Position; p != nil && p.Tp != ast.ColumnPositionNone {
		d.Columns = slices.Delete(d.Columns, i, i+1)
		if err := d.place(c, p); err != nil {
			return err
		}
	}
	d.columnKeys(spec.NewColumns[0])
	return nil
}

func (d *definition) renameColumn(from, to string) error {
	i := d.find(from)
	if i < 0 {
		return fmt.Errorf("%w: there is no column %s", errDDL, from)
	}
	d.Columns[i].Name = to
	d.renameInKeys(from, to)
	return nil
}

func (d *definition) renameInKeys(from, to string) {
	for _, u := range d.Unique {
		for i := range u.Columns {
			if strings.EqualFold(u.Columns[i], from) {
				u.Columns[i] = to
			}
		}
	}
}

// alterDefault applies ALTER COLUMN … SET DEFAULT or DROP DEFAULT.
func (d *definition) alterDefault(n *ast.ColumnDef) error {
	i := d.find(n.Name.Name.O)
	if i < 0 {
		return fmt.Errorf("%w: there is no column %s", errDDL, n.Name.Name.O)
	}
	d.Columns[i].Default = nil
	if len(n.Options) > 0 && n.Options[0].Expr != nil {
		d.Columns[i].Default = defaultOf(n.Options[0].Expr)
	}
	return nil
}
