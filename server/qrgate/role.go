package qrgate

import (
	"fmt"
	"slices"
	"strings"
)

// A Role is what somebody may do. It is held within a [Scope] by a [Grant].
type Role string

// The roles. Health officers and approvers are the only ones that may ever see
// persons, operators and administrators never do.
const (
	Owner         Role = "owner"          // of an organisation: its members and places
	Staff         Role = "staff"          // of an organisation: its places
	Guard         Role = "guard"          // of an organisation: looks at its doors
	Organiser     Role = "organiser"      // of an organisation: its events
	Clerk         Role = "clerk"          // issues cards
	Inspector     Role = "inspector"      // visits places
	SectorOfficer Role = "sector_officer" // helps and counts the places of a sector
	AreaOfficer   Role = "area_officer"   // helps and counts the places of an area
	Reporter      Role = "reporter"       // counts all places, sees no persons
	HealthOfficer Role = "health_officer" // traces
	Approver      Role = "approver"       // approves traces
	Operator      Role = "operator"       // looks after kiosks
	Administrator Role = "administrator"  // accounts, templates, settings
	Protection    Role = "protection"     // data-protection officer
	Auditor       Role = "auditor"        // reads the audit rows
	Integrator    Role = "integrator"     // connects another system
	Association   Role = "association"    // counts of its members
)

// roleScopes says within which kinds of scope a role may be held.
var roleScopes = map[Role][]ScopeKind{
	Owner: {InOrganisation}, Staff: {InOrganisation}, Guard: {InOrganisation}, Organiser: {InOrganisation},
	Clerk: {InArea, InOrganisation}, Inspector: {InSector, InArea}, SectorOfficer: {InSector}, AreaOfficer: {InArea},
	Reporter: {Everywhere}, HealthOfficer: {Everywhere, InArea}, Approver: {Everywhere, InArea},
	Operator: {Everywhere}, Administrator: {Everywhere}, Protection: {Everywhere}, Auditor: {Everywhere},
	Integrator: {Everywhere, InOrganisation}, Association: {InOrganisation},
}

// Roles returns every role, in the order in which people are shown them.
func Roles() []Role {
	return []Role{
		Owner, Staff, Guard, Organiser, Clerk, Inspector, SectorOfficer, AreaOfficer, Reporter,
		HealthOfficer, Approver, Operator, Administrator, Protection, Auditor, Integrator, Association,
	}
}

// OfOrganisation reports whether an organisation's owner may give the role.
func (r Role) OfOrganisation() bool {
	return r == Owner || r == Staff || r == Guard || r == Organiser
}

// SecondFactor reports whether the role is only held by accounts that sign in
// with a second factor: every role that reaches beyond one organisation.
func (r Role) SecondFactor() bool { return !r.OfOrganisation() && r != Association }

// A ScopeKind is what a scope is cut by.
type ScopeKind string

// The kinds of scope.
const (
	Everywhere     ScopeKind = "all"
	InSector       ScopeKind = "sector"
	InArea         ScopeKind = "area"
	InOrganisation ScopeKind = "organisation"
)

// A Scope is the places within which a role is held. ID is a sector's id, an
// area's as package area writes it, or an organisation's; it is empty for
// [Everywhere].
type Scope struct {
	Kind ScopeKind
	ID   string
}

// All is the scope of everything.
var All = Scope{Kind: Everywhere}

// String returns the scope as [ParseScope] reads it.
func (s Scope) String() string {
	if s.Kind == Everywhere {
		return string(s.Kind)
	}
	return string(s.Kind) + ":" + s.ID
}

// ParseScope reads a scope as [Scope.String] writes it.
func ParseScope(text string) (Scope, error) {
	kind, id, named := strings.Cut(text, ":")
	s := Scope{ScopeKind(kind), id}
	switch s.Kind {
	case Everywhere:
		if !named {
			return s, nil
		}
	case InSector, InArea, InOrganisation:
		if id != "" {
			return s, nil
		}
	}
	return Scope{}, fmt.Errorf("qrgate: scope %q: %w", text, ErrInvalid)
}

// A Grant is a role held within a scope.
type Grant struct {
	Role  Role
	Scope Scope
}

// Check reports why a grant cannot be given: the role is unknown or is not held
// within that kind of scope. Whether the scope's sector, area or organisation
// exists is not its matter.
func (g Grant) Check() error {
	kinds, ok := roleScopes[g.Role]
	if !ok {
		return fmt.Errorf("qrgate: role %q: %w", g.Role, ErrInvalid)
	}
	if !slices.Contains(kinds, g.Scope.Kind) || (g.Scope.Kind == Everywhere) != (g.Scope.ID == "") {
		return fmt.Errorf("qrgate: role %s within %s: %w", g.Role, g.Scope, ErrInvalid)
	}
	return nil
}
