module sotto/services/xftp

go 1.26.0

require sotto/shared v0.0.0

replace sotto/shared => ../../shared
