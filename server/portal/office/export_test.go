package office

var PathOf = pathOf
