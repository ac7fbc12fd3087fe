// Package movement is the pages about how people move: a map with the strongest
// flows, tables by hour, commune and sector, and how full a place was through a
// day.
//
// A question has a range of days, a sector, a commune and a part of the day, and
// whoever asks has scopes. An answer is a sum of the figures (package
// server/movement) that lie wholly within both: an area's officer sees what comes
// into the area and what leaves it, a sector's what comes to the sector's places,
// and nobody a figure of fewer than ten people, because there is none. What is
// hidden is shown as such, never as nought.
//
// Nothing here counts check-ins or knows of persons.
package movement
